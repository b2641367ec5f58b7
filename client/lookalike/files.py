"""Finds image files on this machine, for people who index from a command line."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from lookalike.records import Item

EXTENSIONS: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
)
"""Of files in folders; a file that is named itself is taken whatever it is called."""


class ProductFrom(StrEnum):
    """What a file's product is called after."""

    NONE = "none"
    """There are no products."""
    FOLDER = "folder"
    """The folder in which the file lies."""
    NAME = "name"
    """The file's name without its extension."""


def image_files(sources: Iterable[Path]) -> Iterator[Path]:
    """The files that are named, and the image files anywhere in the folders that are named, in order.

    Raises:
        FileNotFoundError: a source does not exist.
    """
    for source in sources:
        if source.is_dir():
            yield from sorted(path for path in source.rglob("*") if _is_image_file(path, source))
        elif source.exists():
            yield source
        else:
            raise FileNotFoundError(f"{source} does not exist")


def item(path: Path, product_from: ProductFrom) -> Item:
    """The file as an item to index; its URI is a file: URL."""
    absolute = path.resolve()
    products = {
        ProductFrom.NONE: "",
        ProductFrom.FOLDER: absolute.parent.name,
        ProductFrom.NAME: absolute.stem,
    }
    return Item(image=path, uri=absolute.as_uri(), product=products[product_from])


def _is_image_file(path: Path, source: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
    return not hidden and path.suffix.lower() in EXTENSIONS and path.is_file()
