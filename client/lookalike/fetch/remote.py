"""Read files of object stores and other file systems through fsspec: s3, gs, abfs, ftp …, each by its own package.

The stamp of a file is the ETag, the checksum or the time that the store reports, together with the size.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import fsspec

from lookalike._concurrency.budget import Room
from lookalike.fetch.host_limiter import HostLimiter
from lookalike.fetch.types import Failed, Fetched, Settings, TransientFailure, storable_stamp, too_large

_VERSION_FIELDS: Final = (
    "ETag",
    "etag",
    "md5Hash",
    "md5",
    "checksum",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
)
"""Names under which stores report a value that changes with the file; the first one that is set counts."""


class Remote:
    """Read files through fsspec in threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.hosts = HostLimiter(settings)

    async def fetch(self, uri: str, stamp: str, room: Room | None) -> Fetched | None:
        """Read the file at a URI; arguments, result and errors are those of `Backend.fetch`."""
        try:
            store, path = await asyncio.to_thread(fsspec.core.url_to_fs, uri)
        except ImportError as error:
            raise Failed(f"{uri}: {error}", reason="NOT_INSTALLED") from error
        except ValueError as error:
            raise Failed(f"{uri}: {error}", reason="INVALID_URI") from error
        except Exception as error:  # for example, a setting that the store needs is missing
            raise Failed(f"{uri}: {error or type(error).__name__}", reason="STORE") from error
        bucket = f"{uri.partition('://')[0]}://{path.partition('/')[0]}"
        async with self.hosts.slot(bucket) as host:
            try:
                fetched = await self._read(store, path, uri, stamp, room)
            except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
                host.succeeded()
                raise Failed(f"{uri}: {type(error).__name__}", reason="UNREADABLE") from error
            except Failed:
                host.succeeded()
                raise
            except Exception as error:  # each store has exceptions of its own
                message = f"{uri}: {error or type(error).__name__}"
                failure = TransientFailure(message, reason="TIMEOUT" if isinstance(error, TimeoutError) else "STORE")
                await host.record_failure(failure, uri, partial(self._delivers, store))
                raise failure from error
            host.succeeded(path)
            return fetched

    async def _delivers(self, store: Any, path: str) -> bool:  # noqa: ANN401 - fsspec has no types
        try:
            async with asyncio.timeout(self._settings.timeout):
                await asyncio.to_thread(store.info, path)
        except Exception:
            return False
        return True

    async def _read(
        self,
        store: Any,  # noqa: ANN401 - fsspec has no types
        path: str,
        uri: str,
        stamp: str,
        room: Room | None,
    ) -> Fetched | None:
        async with asyncio.timeout(self._settings.timeout):
            info = await asyncio.to_thread(store.info, path)
        new_stamp, size, limit = _stamp(info), info.get("size"), self._settings.max_bytes
        if stamp and stamp == new_stamp:
            return None
        if size is not None and size > limit:
            raise too_large(uri, limit)
        if room is None:
            return Fetched(b"", new_stamp)
        await room.take(limit if size is None else size)
        async with asyncio.timeout(self._settings.timeout):
            data = await asyncio.to_thread(store.cat_file, path, 0, limit + 1)
        if len(data) > limit:
            raise too_large(uri, limit)
        return Fetched(data, new_stamp)


def _stamp(info: Mapping[str, Any]) -> str:
    version = next((info[name] for name in _VERSION_FIELDS if info.get(name) is not None), None)
    return "" if version is None else storable_stamp(f"{version} {info.get('size')}")
