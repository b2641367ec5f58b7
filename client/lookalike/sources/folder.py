"""Find image files of this machine, in folders and by glob patterns."""

import enum
import glob
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lookalike.records import Item

EXTENSIONS: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
    | {".avif", ".avifs"}
    | {".heic", ".heics", ".heif", ".heifs", ".hif"}  # an embedder without its extra `heic` refuses these one by one
)
"""Extensions of the files that embedders decode, by Pillow; a file that the caller names itself may have any name."""

_SPECIAL: Final = "not a regular file"
_SAFE: Final = re.compile(r"[A-Za-z0-9/._~-]*").fullmatch


class ProductFrom(enum.StrEnum):
    """ProductFrom says which part of a file's path names its product."""

    NONE = "none"
    """The files have no product."""
    FOLDER = "folder"
    """The product is the name of the file's folder."""
    NAME = "name"
    """The product is the file's name without its extension."""


OnFailure = Callable[[OSError], None]
"""A function that is called for each path that cannot be looked at."""
OnPassedOver = Callable[[str], None]
"""A function that is called with the reason for each path that is passed over: its extension, or what it is."""


def image_files(
    folder: str | os.PathLike[str], failed: OnFailure, passed_over: OnPassedOver = lambda _: None
) -> Iterator[str]:
    """Yield the absolute paths of all image files below the folder, in order.

    Args:
        folder: the folder to search. Hidden files and folders, and links to folders, are passed over.
        failed: is called for each folder that cannot be read, and for each image file that cannot be looked at, such
            as a link that leads nowhere.
        passed_over: is called for each other entry.
    """
    waiting = [os.path.realpath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            failed(error)
            continue
        folders = []
        for entry in entries:
            try:
                kind = _kind(entry)
            except OSError as error:
                failed(error)
                continue
            if kind is _Kind.FOLDER:
                folders.append(entry.path)
            elif kind is _Kind.IMAGE:
                yield entry.path
            else:
                passed_over(kind)
        waiting += reversed(folders)


def matching(pattern: str, failed: OnFailure, passed_over: OnPassedOver = lambda _: None) -> Iterator[str]:
    """Yield the absolute paths of the files that match the pattern; `**` stands for any number of folders.

    Args:
        pattern: the pattern, of the module `glob`.
        failed: is called for each match that cannot be looked at.
        passed_over: is called for each match that is no file, unless `**` looks into folders anyway.
    """
    for path in glob.iglob(pattern, recursive=True):
        try:
            is_folder = stat.S_ISDIR(os.stat(path).st_mode)
            real_path = os.path.realpath(path, strict=True)
        except OSError as error:
            failed(error)
            continue
        if os.path.isfile(real_path):
            yield real_path
        elif not (is_folder and "**" in pattern):
            passed_over("folder" if is_folder else _SPECIAL)


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


class _Kind(enum.Enum):
    FOLDER = enum.auto()
    IMAGE = enum.auto()


def _kind(entry: "os.DirEntry[str]") -> _Kind | str:
    """Return what an entry of a folder is, or why it is passed over. Raises OSError."""
    if entry.name.startswith("."):
        return "hidden"
    if entry.is_dir(follow_symlinks=False):
        return _Kind.FOLDER
    extension = os.path.splitext(entry.name)[1].lower()
    if extension not in EXTENSIONS:
        return "link to a folder" if entry.is_symlink() and os.path.isdir(entry.path) else extension or "no extension"
    if entry.is_symlink() and stat.S_ISDIR(entry.stat().st_mode):  # raises if it leads nowhere, or to itself
        return "link to a folder"
    return _Kind.IMAGE if entry.is_file() else _SPECIAL
