"""Image files of this machine, in folders and by glob patterns."""

import glob
import os
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lookalike.records import Item

EXTENSIONS: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
)
"""Of files in folders; a file that is named itself is taken whatever it is called."""

_SAFE: Final = re.compile(r"[A-Za-z0-9/._~-]*").fullmatch


class ProductFrom(StrEnum):
    """What a file's product is called after."""

    NONE = "none"
    """There are no products."""
    FOLDER = "folder"
    """The folder in which the file lies."""
    NAME = "name"
    """The file's name without its extension."""


def image_files(folder: str | os.PathLike[str], failed: Callable[[OSError], None]) -> Iterator[str]:
    """Yield the absolute paths of the image files anywhere in the folder, in order; hidden ones are left out.

    Args:
        folder: where to look. Links to folders are not followed.
        failed: is told of folders that cannot be read.
    """
    waiting = [os.path.realpath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            failed(error)
            continue
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        yield from (entry.path for entry in shown if _is_image(entry.name) and entry.is_file())
        waiting += [entry.path for entry in reversed(shown) if entry.is_dir(follow_symlinks=False)]


def matching(pattern: str) -> Iterator[str]:
    """Yield the absolute paths of the files that match; `**` stands for any folders."""
    return (os.path.realpath(path) for path in glob.iglob(pattern, recursive=True) if os.path.isfile(path))


def item(path: str, product_from: ProductFrom) -> Item:
    """The file at an absolute path as an item to index; its URI is a file: URL."""
    product = ""
    if product_from is ProductFrom.FOLDER:
        product = Path(path).parent.name
    elif product_from is ProductFrom.NAME:
        product = Path(path).stem
    return Item(image=None, uri=uri_of(path), product=product)


def uri_of(path: str) -> str:
    """The file: URL of an absolute path."""
    return f"file://{path if _SAFE(path) else quote(os.fsencode(path))}"


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS
