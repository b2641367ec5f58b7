"""Bound the texts that are embedded, and say what a text encoder is."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.constants import MAX_TEXT_CHARACTERS
from lookalike_embedder.errors import InvalidText

Tokens = NDArray[np.int64]
"""The numbers of a text's tokens, in their order."""


class TextEncoder(Protocol):
    """The text encoder puts texts into the space of the model's images.

    Attributes:
        max_tokens: the most tokens of a text, with those that the tokenizer adds.
    """

    max_tokens: int

    def tokenise(self, text: str) -> Tokens:
        """Return the tokens of a text, from any thread.

        Raises:
            InvalidText: it has none, or too many.
        """

    def __call__(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        """Return vectors [n, dimensions], each of length 1. Only the interactive worker calls this.

        Raises:
            OutOfMemory: there is not enough memory for so many texts.
        """


def check(text: str) -> None:
    """Refuse a text that is no text, or too long to be read.

    Raises:
        InvalidText: EMPTY_TEXT or TEXT_TOO_LONG.
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        message = f"text: must have at most {MAX_TEXT_CHARACTERS} characters, has {len(text)}"
        raise InvalidText("TEXT_TOO_LONG", message)
    if not text.strip():
        raise InvalidText("EMPTY_TEXT", "text: must have something else in it than white space")
