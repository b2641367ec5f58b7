"""Images and where they are used: what is stored, listed and ranked.

Most are named tuples, as they are made by the million, and cost a third of frozen dataclasses.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import asyncpg

LISTED_REFERENCES: Final = 100
"""The most references that an answer lists of one image; it says how many there are."""

ReferenceKey = tuple[str, str, str, bool]


class Embedding(NamedTuple):
    """A vector of length 1, encoded as the module `halfvec` does, and its space."""

    space: str
    vector: bytes


class Reference(NamedTuple):
    """A place where an image is used, identified by everything but its labels."""

    uri: str
    product: str
    variant: str
    staged: bool
    labels: Mapping[str, str]

    @property
    def key(self) -> ReferenceKey:
        """What identifies it."""
        return self[:4]


class State(NamedTuple):
    """What is stored of a reference: its image's hash, empty if nothing is; stamp; whether the labels are the same."""

    sha256: bytes = b""
    stamp: str = ""
    same_labels: bool = False


class Listed(NamedTuple):
    """A reference by itself."""

    id: int
    reference: Reference
    sha256: bytes
    stamp: str


class Entry(NamedTuple):
    """An image and one reference to it, to be stored: with its vectors in none, one or several spaces.

    `stamp` tells an indexer whether the file has changed; empty: the one that is stored stands while the image does.
    """

    sha256: bytes
    embeddings: tuple[Embedding, ...]
    width: int
    height: int
    reference: Reference
    stamp: str = ""


@dataclass(frozen=True)
class Image:
    """An image of a project, with the first of its references; sizes in pixels, 0 if unknown."""

    id: int
    sha256: bytes
    width: int
    height: int
    create_time: datetime
    references: tuple[Reference, ...]
    reference_count: int


def reference_of(row: "asyncpg.Record") -> Reference:
    """Read the reference out of a row that has its columns."""
    labels = row["labels"]
    own = {} if labels == "{}" else json.loads(labels)  # most have none
    return Reference(row["uri"], row["product"], row["variant"], row["staged"], own)
