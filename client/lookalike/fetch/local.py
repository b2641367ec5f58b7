"""Read files of this machine; the stamp of a file is its modification and change time, its size and its inode."""

import hashlib
import os
import re
from collections.abc import Sequence
from functools import partial
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from lookalike._concurrency.budget import Room
from lookalike.fetch.thread_batcher import ThreadBatcher
from lookalike.fetch.types import Failed, Fetched, too_large
from lookalike.regular_file import open_regular

_PLAIN: Final = re.compile(r"file:///[^?#]*").fullmatch
"""Matches nearly every URI; the full parser for the others takes ten times as long."""
_ASSUMED_BYTES: Final = 1024 * 1024
"""Memory that is reserved for a file before its size is known, so that one call in a thread is enough."""


def is_local(uri: str) -> bool:
    """Return whether the URI is a `file:` URI, or a `local:` URI, which is fsspec's name for the same."""
    return uri[:6].lower().startswith(("file:", "local:"))


def path_of(uri: str) -> str:
    """Return the path of the local file at a URI. Raises Failed."""
    try:
        if _PLAIN(uri):
            return os.fsdecode(unquote_to_bytes(uri[len("file://") :]))
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost"):
            raise Failed(f"{uri}: the file is on another machine", reason="UNREADABLE")
        return os.fsdecode(unquote_to_bytes(parts.path))
    except ValueError as error:
        raise Failed(f"{uri!r}: is not the URL of a file: {error}", reason="INVALID_URI") from error


def stamps(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return the stamp of each file, empty for a file that cannot be read; this function blocks."""
    return [_stamp(path) for path in paths]


def _stamp(path: str | os.PathLike[str]) -> str:
    try:
        return _stamp_of(os.stat(path))
    except (OSError, TypeError, ValueError):
        return ""


def _stamp_of(status: os.stat_result) -> str:
    """Return the stamp; who copies a file with its time cannot choose its inode and change time."""
    return f"{status.st_mtime_ns:x} {status.st_size:x} {status.st_ino:x} {status.st_ctime_ns:x}"


class Local:
    """Read files of at most `max_bytes` bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._batcher: ThreadBatcher[tuple[str, int, bytes | None, bytes]] = ThreadBatcher()

    async def fetch(self, uri: str, stamp: str, room: Room | None) -> Fetched | None:
        """Read the file at a URI; arguments, result and errors are those of `Backend.fetch`."""
        return await self.read(path_of(uri), stamp, room)

    async def read(self, path: str | os.PathLike[str], stamp: str, room: Room | None) -> Fetched | None:
        """Read the file at a path; result and errors are those of `Backend.fetch`."""
        size = _ASSUMED_BYTES
        try:
            while True:
                if room:
                    await room.take(size)
                limit = min(size, self._max_bytes) if room else -1
                new_stamp, size, data, sha256 = await self._batcher.call(partial(_read, path, stamp, limit))
                if data is not None or room is None or new_stamp == stamp or size > self._max_bytes:
                    break
        except OSError as error:
            raise Failed(f"cannot read {path}: {error.strerror}", reason="UNREADABLE") from error
        except (TypeError, ValueError) as error:  # the path is not valid
            raise Failed(f"cannot read {path!r}: {error}", reason="UNREADABLE") from error
        if new_stamp == stamp:
            return None
        if size > self._max_bytes:
            raise too_large(str(path), self._max_bytes)
        return Fetched(data or b"", new_stamp, sha256)


def _read(path: str | os.PathLike[str], old_stamp: str, limit: int) -> tuple[str, int, bytes | None, bytes]:
    """Return stamp, size, content and hash of a file.

    The content is None if the stamp is the old one, or if the file is larger than `limit` bytes. The stamp is taken
    first, so that a file that changes meanwhile is read again another time.
    """
    with open(open_regular(path), "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        stamp = _stamp_of(status)
        if stamp == old_stamp or status.st_size > limit:
            return stamp, status.st_size, None, b""
        data = file.read(status.st_size) or b""
        while len(data) < status.st_size and (more := file.read(status.st_size - len(data))):  # network file systems
            data += more
        return stamp, status.st_size, data, hashlib.sha256(data).digest()
