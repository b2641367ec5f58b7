"""Find image files of this machine, in folders and by glob patterns."""

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
"""Extensions of image files in folders; a file that the caller names itself may have any name."""

_SAFE: Final = re.compile(r"[A-Za-z0-9/._~-]*").fullmatch


class ProductFrom(StrEnum):
    """ProductFrom says which part of a file's path names its product."""

    NONE = "none"
    """The files have no product."""
    FOLDER = "folder"
    """The product is the name of the file's folder."""
    NAME = "name"
    """The product is the file's name without its extension."""


def image_files(folder: str | os.PathLike[str], failed: Callable[[OSError], None]) -> Iterator[str]:
    """Yield the absolute paths of all image files below the folder, in order; hidden files and folders are left out.

    Args:
        folder: the folder to search. Links to folders are not followed.
        failed: is called for each folder that cannot be read.
    """
    waiting = [os.path.realpath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            failed(error)
            continue
        visible = [entry for entry in entries if not entry.name.startswith(".")]
        yield from (entry.path for entry in visible if _is_image(entry.name) and entry.is_file())
        waiting += [entry.path for entry in reversed(visible) if entry.is_dir(follow_symlinks=False)]


def matching(pattern: str) -> Iterator[str]:
    """Yield the absolute paths of the files that match the pattern; `**` stands for any number of folders."""
    return (os.path.realpath(path) for path in glob.iglob(pattern, recursive=True) if os.path.isfile(path))


def item(path: str, product_from: ProductFrom) -> Item:
    """Return an item for the file at an absolute path; its URI is a file: URL."""
    product = ""
    if product_from is ProductFrom.FOLDER:
        product = Path(path).parent.name
    elif product_from is ProductFrom.NAME:
        product = Path(path).stem
    return Item(image=None, uri=uri_of(path), product=product)


def uri_of(path: str) -> str:
    """Return the `file:` URL of an absolute path."""
    return f"file://{path if _SAFE(path) else quote(os.fsencode(path))}"


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS
