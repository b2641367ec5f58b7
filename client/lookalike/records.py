"""What goes in and what comes out: frozen dataclasses, each field with its unit or range."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from lookalike.errors import LookalikeError


@dataclass(frozen=True)
class Item:
    """An image to index, and one place where it is used.

    uri, product, variant and staged together identify the reference: indexing them again with another image moves the
    reference to that image; with other labels, replaces the labels.

    Attributes:
        image: the bytes of an image file, or the path of one.
        uri: where the image lives, for example its URL; at most 2,048 bytes.
        product: the product that it shows; at most 256 bytes.
        variant: the product's variant; at most 256 bytes.
        staged: whether this is the product's staged (not yet published) version.
        labels: anything else to filter by; at most 64.
    """

    image: bytes | Path
    uri: str
    product: str = ""
    variant: str = ""
    staged: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


class Status(StrEnum):
    """What became of an item."""

    INDEXED = "indexed"
    """Something was stored."""
    UNCHANGED = "unchanged"
    """The project held all of it already."""
    FAILED = "failed"
    """It is not stored; the outcome's error says why."""


@dataclass(frozen=True)
class Outcome:
    """What became of one item; `error` is set if, and only if, it failed."""

    uri: str
    status: Status
    error: LookalikeError | None = None


@dataclass(frozen=True)
class Embedding:
    """A vector of length 1 and the space in which it may be compared."""

    space: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Model:
    """The model that an embedder runs; sizes in bytes and pixels."""

    space: str
    dimensions: int
    architecture: str
    weights_sha256: str
    device: str
    precision: str
    max_batch_size: int
    max_image_bytes: int
    max_image_pixels: int
    formats: tuple[str, ...]


@dataclass(frozen=True)
class Project:
    """A set of images that are searched together."""

    name: str
    space: str
    image_count: int
    reference_count: int
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True)
class Reference:
    """A place where an image is used; see Item."""

    uri: str
    product: str
    variant: str
    staged: bool
    labels: Mapping[str, str]


class Match(StrEnum):
    """What kind of likeness a hit is."""

    EXACT = "exact"
    """The same file, byte for byte."""
    NEAR_DUPLICATE = "near-duplicate"
    """The same photo with slight changes: recompressed, resized, lightly retouched."""
    SIMILAR = "similar"
    """Another photo, or one that was changed much."""


class SearchMode(StrEnum):
    """How a ranking was made."""

    EXACT = "exact"
    """Every image was compared."""
    OTHER = "other"
    """In a way that is newer than this library."""


@dataclass(frozen=True)
class Hit:
    """One similar image.

    Attributes:
        similarity: the cosine between query and image, in [-1, 1].
        match: what kind of likeness it is.
        sha256: the image's hash, in hexadecimal.
        width: in pixels; 0 if unknown.
        height: in pixels; 0 if unknown.
        references: where it is used, oldest first: at most 100.
        reference_count: in how many places it is used.
    """

    similarity: float
    match: Match
    sha256: str
    width: int
    height: int
    references: tuple[Reference, ...]
    reference_count: int


@dataclass(frozen=True)
class SearchResult:
    """The answer to a search.

    Attributes:
        hits: most similar first.
        mode: how the ranking was made.
        images_ranked: over how many images.
        embed_seconds: how long the embedder took, as the client saw it; 0 if it was not asked.
        search_seconds: how long the searcher took, as the client saw it.
    """

    hits: tuple[Hit, ...]
    mode: SearchMode
    images_ranked: int
    embed_seconds: float
    search_seconds: float
