"""Turn texts into vectors: a tokenizer of the library `tokenizers`, and the second ONNX file of a model."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from tokenizers import Tokenizer

from lookalike_embedder.errors import InvalidModel, InvalidText, OutOfMemory
from lookalike_embedder.onnx_model import contents
from lookalike_embedder.onnx_model.compute import normalised
from lookalike_embedder.onnx_model.sessions import is_out_of_memory, open_text_session
from lookalike_embedder.onnx_model.settings import Settings, TextSettings
from lookalike_embedder.onnx_model.signature import check_text
from lookalike_embedder.text import Tokens

_PROOFS: Final = ("a", "red rain boots")
"""Two texts whose lengths differ with most tokenizers."""


class OnnxTextEncoder:
    """The text encoder computes with ONNX Runtime; see `text.TextEncoder`.

    A text that is not padded is computed alone, so that its vector does not depend on those beside it.

    Args:
        session: computes texts.
        tokenizer: makes tokens of texts.
        said: what the TOML says.
        text: what its table `[text]` says.
        types: the types of the inputs, by numpy's names.
        at_once: whether several texts are computed at once.
        recipe: all that changes a vector.
    """

    def __init__(
        self,
        session: InferenceSession,
        tokenizer: Tokenizer,
        said: Settings,
        text: TextSettings,
        types: dict[str, str],
        *,
        at_once: bool,
        recipe: str,
    ) -> None:
        self.max_tokens, self.recipe, self.text = text.max_tokens, recipe, text
        self._session, self._tokenizer, self._said = session, tokenizer, said
        self._types, self._at_once = types, at_once

    def tokenise(self, text: str) -> Tokens:
        """Return the tokens of a text. Raises InvalidText."""
        tokens = self._tokenizer.encode(text).ids
        if not tokens:
            raise InvalidText("EMPTY_TEXT", "text: has nothing in it that the model has a token for")
        if len(tokens) > self.max_tokens:
            raise InvalidText(
                "TOO_MANY_TOKENS",
                f"text: must have at most {self.max_tokens} tokens for this model, some three quarters as many words,"
                f" has {len(tokens)}",
            )
        return np.array(tokens, np.int64)

    def __call__(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        """Return vectors [n, dimensions], each of length 1."""
        step = len(texts) if self._at_once else 1
        parts = [self._vectors(texts[start : start + step]) for start in range(0, len(texts), step)]
        return normalised(np.concatenate(parts), self._said)

    def check(self, dimensions: int) -> None:
        """Prove that texts have vectors of use, in a space of so many dimensions, by computing some.

        Raises:
            InvalidModel: they have not, or the tokenizer is of another model.
        """
        last = np.array([self._tokenizer.get_vocab_size() - 1], np.int64)
        try:
            texts = [self.tokenise(text) for text in _PROOFS]
            alone, together = self(texts[:1]), self(texts)
            self([last])
        except InvalidText as error:
            raise InvalidModel(f"model: {self.text.tokenizer} refuses {list(_PROOFS)}: {error}") from error
        except Exception as error:  # each of ONNX Runtime's errors derives from Exception alone
            raise InvalidModel(
                f"model: {self.text.model} fails on tokens of {self.text.tokenizer}, from 0 to {last[0]}: {error}"
            ) from error
        self._check_vectors(alone, together, dimensions)

    def _check_vectors(self, alone: NDArray[np.float32], together: NDArray[np.float32], dimensions: int) -> None:
        if alone.shape != (1, dimensions):
            raise InvalidModel(
                f"model: {self.text.model}: the vector of a text must have {dimensions} dimensions, as those of images"
                f" have, and is {list(alone.shape)}"
            )
        lengths = np.linalg.norm(together, axis=1)
        if not np.allclose(lengths, 1, atol=0.01):  # which what is no number is not, either
            raise InvalidModel(
                f"model: {self.text.model}: vectors must have length 1, these have {lengths.round(3).tolist()}; see"
                f" {self._said.place('output.normalisation')}"
            )
        if not np.allclose(alone[0], together[0], atol=0.01):
            raise InvalidModel(f"model: {self.text.model}: the vector of a text must be the same alone and in a batch")

    def _vectors(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        length = max(map(len, texts)) if self.text.padding is None else self.max_tokens
        tokens = np.full((len(texts), length), self.text.padding or 0, np.int64)
        mask = np.zeros_like(tokens)
        for row, text in enumerate(texts):
            tokens[row, : len(text)], mask[row, : len(text)] = text, 1
        values = {self.text.input_name: tokens, self.text.mask_name: mask}
        feed = {name: values[name].astype(kind) for name, kind in self._types.items()}
        try:
            (vectors,) = self._session.run([self.text.output_name], feed)
        except Exception as error:
            if is_out_of_memory(error):
                raise OutOfMemory from error
            raise
        return np.asarray(vectors, np.float32)


def load(said: Settings, text: TextSettings, device: str, *, on_gpu: bool) -> OnnxTextEncoder:
    """Return the text encoder that a TOML names.

    Args:
        said: the TOML.
        text: what it says of texts.
        device: see `open_text_session`.
        on_gpu: see `open_text_session`.

    Raises:
        InvalidModel: one of its files is wrong, or they do not agree with the TOML.
        Unsupported: images are computed on a GPU, and texts cannot be.
    """
    tokenizer, digest = _tokenizer(text.tokenizer, said)
    has = contents.read(text.model)
    session = open_text_session(text.model, device, on_gpu=on_gpu)
    types, at_once = check_text(text.model, session, said, text)
    recipe = "|".join((text.recipe, has.sha256, digest))
    return OnnxTextEncoder(
        session, tokenizer, said, text, types, at_once=at_once and text.padding is not None, recipe=recipe
    )


def _tokenizer(file: Path, said: Settings) -> tuple[Tokenizer, str]:
    """Return the tokenizer of a file, and the file's digest. How long a text may be, the TOML says alone."""
    try:
        content = file.read_bytes()
        tokenizer = Tokenizer.from_str(content.decode())
    except OSError as error:
        raise InvalidModel(f"{said.place('text.tokenizer')}: cannot read {file}: {error}") from error
    except Exception as error:  # each of its errors is an Exception alone
        raise InvalidModel(f"{said.place('text.tokenizer')}: {file} is no tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True  # what a caller writes is never a control token
    return tokenizer, hashlib.sha256(content).hexdigest()
