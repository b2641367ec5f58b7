"""Read what arguments name: a photo wherever it is, URIs by which `index` stores local files, where a report goes."""

import asyncio
import os
import re
from pathlib import Path
from typing import Final, Literal

import typer

from lookalike import atomic_file
from lookalike._concurrency.budget import Budget, Room
from lookalike.constants import MAX_IMAGE_BYTES
from lookalike.fetch import Fetcher, Settings
from lookalike.records import Item
from lookalike.sources.folder import uri_of

STANDARD_INPUT: Final = "-"
MAX_RERANKED: Final = 1_000
"""The most images that a search can re-rank."""
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:").match
"""Matches the beginning of a URI."""
_PATHS: Final = ("/", "./", "../", "~")
"""Text that begins with one of these is a path, whether or not it exists."""


def rerank_depth(text: str) -> int | Literal["auto"]:
    """Return how many of the nearest images to re-rank. Raises typer.BadParameter."""
    if text == "auto":
        return "auto"
    if text.isascii() and text.isdigit() and int(text) <= MAX_RERANKED:
        return int(text)
    raise typer.BadParameter(f"must be auto, or a number from 0 to {MAX_RERANKED}, got {text!r}", param_hint="--rerank")


async def read_photo(name: str, timeout: float) -> bytes:
    """Return the bytes of a photo.

    Args:
        name: a path, a URI of any kind that `index` reads, or `-` for standard input.
        timeout: the most seconds that fetching may take.

    Raises:
        LookalikeError: the photo cannot be read.
    """
    if name == STANDARD_INPUT:
        return await asyncio.to_thread(_standard_input)
    item = await asyncio.to_thread(_item, name)
    async with Fetcher(Settings(timeout=timeout)) as fetcher:
        fetched = await fetcher.fetch(item, "", Room(Budget(None, MAX_IMAGE_BYTES)))
    return fetched.data if fetched else b""


def _item(name: str) -> Item:
    is_path = os.path.exists(name) or not _SCHEME(name)
    return Item(image=Path(name) if is_path else None, uri=name)


def _standard_input() -> bytes:
    with open(0, "rb", closefd=False) as file:
        return file.read(MAX_IMAGE_BYTES + 1)


def stored_uri(text: str) -> str:
    """Return the URI that `index` stores for a path, or for the beginning of paths; other text stays as it is.

    A path begins with `/`, `./`, `../` or `~`, or it exists.
    """
    is_path = text.startswith(_PATHS) or text in (".", "..") or (os.path.exists(text) and not _SCHEME(text))
    return local_uri(text) if is_path else text


def local_uri(text: str) -> str:
    """Return the URI of the local file that the text names; a URI stays as it is. A folder keeps its last `/`."""
    if _SCHEME(text) or not text:
        return text
    path = os.path.realpath(os.path.expanduser(text))
    return uri_of(path.rstrip("/") + "/" if text.endswith("/") else path)


def check_report(report: Path) -> None:
    """Check before the work that its report can be written. Raises typer.BadParameter."""
    if not report.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {report.absolute().parent}", param_hint="--report")
    try:
        atomic_file.check(report)
    except OSError as error:
        raise typer.BadParameter(str(error), param_hint="--report") from error
