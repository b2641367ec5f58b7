"""These records say what is indexed, where it is used, and what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from lookalike.errors import LookalikeError


@dataclass(frozen=True)
class ImageVector:
    """An image's vector is given as it is stored.

    Attributes:
        sha256: of its file, in hexadecimal.
        products: the different products that it shows, in order: at most 16.
        values: the vector's numbers in half precision, little-endian: `numpy.frombuffer(values, "<f2")`.
        featureless: whether the image shows nothing but one colour.
        variants: the different variants that its references name, in order: at most 16.
        label_values: the different values of the label that was asked for, in order: at most 16.
    """

    sha256: str
    products: tuple[str, ...]
    values: bytes
    featureless: bool = False
    variants: tuple[str, ...] = ()
    label_values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """The origin is the manifest that names an item, read from the web or from a store: it bounds what is read.

    Attributes:
        url: the manifest's.
        private: whether its address is not public: then the items' may be so, too.
    """

    url: str
    private: bool = False


@dataclass(frozen=True)
class Item:
    """An item is an image to index, with one place where it is used.

    uri, product, variant and staged together identify the reference: indexing them again with another image moves the
    reference to that image; with other labels, replaces the labels.

    Attributes:
        image: the bytes of an image file, or the path of one; None: it is fetched from the uri (see `fetch`).
        uri: where the image lives, for example its URL; at most 2,048 bytes.
        product: the product that it shows; at most 256 bytes.
        variant: the product's variant; at most 256 bytes.
        staged: whether this is the product's staged (not yet published) version.
        labels: anything else to filter by; at most 64.
        path: where the image is read from if not from its uri: a URL that is signed or moves, or a file: URL. It is
            not stored.
        origin: the manifest that names it, if that is not the caller's own. It is not stored.
    """

    image: bytes | Path | None
    uri: str
    product: str = ""
    variant: str = ""
    staged: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    origin: Origin | None = field(default=None, compare=False)

    @property
    def location(self) -> str:
        """Return the URI that the image is read from, if it is not in `image`."""
        return self.path or self.uri


class Status(StrEnum):
    """The status says what became of an item."""

    INDEXED = "indexed"
    """Something was stored for it."""
    UNCHANGED = "unchanged"
    """The project held all of it already."""
    FAILED = "failed"
    """It is not stored; the outcome's error says why."""


END_MISSING: Final = "END_MISSING"
"""The note on a JPEG that lacks its last bytes, though nothing of the picture."""


@dataclass(frozen=True)
class Outcome:
    """The outcome says what became of one item.

    Attributes:
        uri: the item's.
        status: what became of it.
        error: is set if, and only if, it failed.
        item: the item.
        note: what is to be said of an image that is indexed all the same: `END_MISSING`, or nothing.
    """

    uri: str
    status: Status
    error: LookalikeError | None = None
    item: Item | None = field(default=None, compare=False, repr=False)
    note: str = ""


@dataclass(frozen=True)
class Reference:
    """A reference is a place where an image is used; see Item."""

    uri: str
    product: str
    variant: str
    staged: bool
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Image:
    """An image belongs to a project.

    Attributes:
        sha256: the file's hash, in hexadecimal.
        width: in pixels; 0 if unknown.
        height: in pixels; 0 if unknown.
        create_time: when it was first indexed.
        references: where it is used, oldest first: at most 100. In an answer to a filter, only those that pass it.
        reference_count: in how many such places it is used.
        featureless: whether it shows nothing but one colour, so that it is a near duplicate of nothing.
        file_size: how many bytes its file has; 0 if unknown.
    """

    sha256: str
    width: int
    height: int
    create_time: datetime
    references: tuple[Reference, ...]
    reference_count: int
    featureless: bool = False
    file_size: int = 0


@dataclass(frozen=True)
class ImagePage:
    """A page holds some of a project's images, and says where the next page begins: empty on the last one."""

    images: tuple[Image, ...]
    next_page_token: str


@dataclass(frozen=True)
class SyncResult:
    """The result says what it took to make a product show exactly its images.

    Attributes:
        outcomes: one for each item, in their order; none has failed, as all is stored or nothing.
        deleted_reference_count: how many other references of the product were deleted.
        deleted_image_count: how many images were deleted, as they lost their last reference.
    """

    outcomes: tuple[Outcome, ...]
    deleted_reference_count: int
    deleted_image_count: int


@dataclass(frozen=True)
class DeleteResult:
    """The result says what was deleted.

    Attributes:
        reference_count: how many references.
        image_count: how many images, as they lost their last reference.
    """

    reference_count: int
    image_count: int
