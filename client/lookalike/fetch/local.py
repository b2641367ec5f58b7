"""Files of this machine. A file's stamp is its time and its size."""

import hashlib
import os
import re
from collections.abc import Sequence
from functools import partial
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from lookalike._concurrency.budget import Room
from lookalike.fetch.thread_batcher import Trips
from lookalike.fetch.types import Failed, Fetched, too_large
from lookalike.regular_file import open_regular

_PLAIN: Final = re.compile(r"file:///[^?#]*").fullmatch
"""Nearly every one; to take others apart takes ten times as long."""
_GUESS: Final = 1024 * 1024
"""Room that is taken for a file before its size is known, so that one trip to a thread will do."""


def is_local(uri: str) -> bool:
    """Whether it is a `file:` URI, or one of `local:`, fsspec's name for the same."""
    return uri[:6].lower().startswith(("file:", "local:"))


def path_of(uri: str) -> str:
    """The path of a URI of a local file. Raises Failed."""
    try:
        if _PLAIN(uri):
            return os.fsdecode(unquote_to_bytes(uri[len("file://") :]))
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost"):
            raise Failed(f"{uri}: is on another machine", reason="UNREADABLE")
        return os.fsdecode(unquote_to_bytes(parts.path))
    except ValueError as error:
        raise Failed(f"{uri!r}: is no URL of a file: {error}", reason="INVALID_URI") from error


def stamps(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """The stamp of each file, empty for one that cannot be seen; blocks."""
    return [_stamp(path) for path in paths]


def _stamp(path: str | os.PathLike[str]) -> str:
    try:
        return _mark(os.stat(path))
    except (OSError, TypeError, ValueError):
        return ""


def _mark(seen: os.stat_result) -> str:
    return f"{seen.st_mtime_ns:x} {seen.st_size:x}"


class Local:
    """Reads files, none larger than `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._trips: Trips[tuple[str, int, bytes | None, bytes]] = Trips()

    async def fetch(self, uri: str, stamp: str, room: Room | None) -> Fetched | None:
        """See `Place`."""
        return await self.read(path_of(uri), stamp, room)

    async def read(self, path: str | os.PathLike[str], stamp: str, room: Room | None) -> Fetched | None:
        """The file, likewise."""
        size = _GUESS
        try:
            while True:
                if room:
                    await room.take(size)
                most = min(size, self._max_bytes) if room else -1
                found, size, data, sha256 = await self._trips.call(partial(_read, path, stamp, most))
                if data is not None or room is None or found == stamp or size > self._max_bytes:
                    break
        except OSError as error:
            raise Failed(f"cannot read {path}: {error.strerror}", reason="UNREADABLE") from error
        except (TypeError, ValueError) as error:  # no name of a file
            raise Failed(f"cannot read {path!r}: {error}", reason="UNREADABLE") from error
        if found == stamp:
            return None
        if size > self._max_bytes:
            raise too_large(str(path), self._max_bytes)
        return Fetched(data or b"", found, sha256)


def _read(path: str | os.PathLike[str], known: str, most: int) -> tuple[str, int, bytes | None, bytes]:
    """Stamp and size of a file; and what is in it, and its hash, unless that is its stamp or it is larger than `most`.

    The stamp is taken first, so that what changes meanwhile is read again another time.
    """
    with open(open_regular(path), "rb", buffering=0) as file:
        seen = os.fstat(file.fileno())
        found = _mark(seen)
        if found == known or seen.st_size > most:
            return found, seen.st_size, None, b""
        data = file.read(seen.st_size) or b""
        while len(data) < seen.st_size and (more := file.read(seen.st_size - len(data))):  # by some networks' files
            data += more
        return found, seen.st_size, data, hashlib.sha256(data).digest()
