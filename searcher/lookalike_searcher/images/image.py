"""Define images and references, as they are stored, listed and ranked.

Most are named tuples: they are made by the million, and cost a third of frozen dataclasses.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from lookalike_serving.fingerprint import Fingerprint

if TYPE_CHECKING:
    import asyncpg

LISTED_REFERENCES: Final = 100
"""An answer lists so many references of an image at most, and says how many there are."""

_JSON: Final = json.JSONDecoder()

ReferenceKey = tuple[str, str, str, bool]


class Embedding(NamedTuple):
    """The embedding is a vector of length 1, encoded as by `halfvec`, in a space.

    It is featureless if the embedder saw nothing but one colour: likeness to it means nothing.
    """

    space: str
    vector: bytes
    featureless: bool = False


class Reference(NamedTuple):
    """A reference is a place where an image is used. All but its labels identifies it."""

    uri: str
    product: str
    variant: str
    staged: bool
    labels: Mapping[str, str]

    @property
    def key(self) -> ReferenceKey:
        """Return the fields that identify the reference."""
        return self[:4]


class State(NamedTuple):
    """The state of a reference is its image's hash (empty: it is not stored), its stamp, and whether labels match."""

    sha256: bytes = b""
    stamp: str = ""
    same_labels: bool = False


class Listed(NamedTuple):
    """The reference is listed by itself, with the hash of its image and its stamp."""

    id: int
    reference: Reference
    sha256: bytes
    stamp: str


class Entry(NamedTuple):
    """An entry is an image and one reference to it, to be stored, with vectors in any number of spaces.

    It may have the image's fingerprint, and its file's size in bytes, 0 if unknown.

    The stamp tells an indexer whether the file has changed. If it is empty, the stored stamp stays while the image
    does.
    """

    sha256: bytes
    embeddings: tuple[Embedding, ...]
    width: int
    height: int
    reference: Reference
    stamp: str = ""
    fingerprint: Fingerprint | None = None
    file_size: int = 0


@dataclass(frozen=True)
class Image:
    """An image of a project has its first references, and its sizes in pixels and bytes, 0 if unknown.

    It is featureless if one of its vectors was said to be.
    """

    id: int
    sha256: bytes
    width: int
    height: int
    create_time: datetime
    references: tuple[Reference, ...]
    reference_count: int
    featureless: bool
    file_size: int


def reference_of(row: "asyncpg.Record") -> Reference:
    """Return the reference of a row that has its columns."""
    return Reference(row["uri"], row["product"], row["variant"], row["staged"], labels_of(row["labels"]))


def labels_of(text: str) -> dict[str, str]:
    """Return the labels that PostgreSQL has written as JSON, without a space around them."""
    labels: dict[str, str] = {} if text == "{}" else _JSON.raw_decode(text)[0]
    return labels
