"""Object stores and whatever else fsspec knows: s3, gs, abfs, ftp …, each by its own package.

The stamp is the ETag, checksum or time that the store tells, with the size.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import fsspec

from lookalike._concurrency.budget import Room
from lookalike.fetch.host_limiter import Hosts
from lookalike.fetch.types import Failed, Fetched, Passing, Settings, kept, too_large

_MARKS: Final = ("ETag", "etag", "md5Hash", "md5", "checksum", "LastModified", "last_modified", "updated", "mtime")
"""What stores call that which changes with a file; the first that there is counts."""


class Remote:
    """Reads files through fsspec, in threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.hosts = Hosts(settings)

    async def fetch(self, uri: str, stamp: str, room: Room | None) -> Fetched | None:
        """See `Place`."""
        try:
            store, path = await asyncio.to_thread(fsspec.core.url_to_fs, uri)
        except ImportError as error:
            raise Failed(f"{uri}: {error}", reason="NOT_INSTALLED") from error
        except ValueError as error:
            raise Failed(f"{uri}: {error}", reason="INVALID_URI") from error
        except Exception as error:  # what it needs to know is not there
            raise Failed(f"{uri}: {error or type(error).__name__}", reason="STORE") from error
        place = f"{uri.partition('://')[0]}://{path.partition('/')[0]}"
        async with self.hosts.turn(place) as host:
            try:
                found = await self._read(store, path, uri, stamp, room)
            except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
                host.succeeded()
                raise Failed(f"{uri}: {type(error).__name__}", reason="UNREADABLE") from error
            except Failed:
                host.succeeded()
                raise
            except Exception as error:  # each store has exceptions of its own
                message = f"{uri}: {error or type(error).__name__}"
                failure = Passing(message, reason="TIMEOUT" if isinstance(error, TimeoutError) else "STORE")
                await host.judge(failure, partial(self._gives, store))
                raise failure from error
            host.succeeded(path)
            return found

    async def _gives(self, store: Any, path: str) -> bool:  # noqa: ANN401 - fsspec has no types
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
        found, size, most = _stamp(info), info.get("size"), self._settings.max_bytes
        if stamp and stamp == found:
            return None
        if size is not None and size > most:
            raise too_large(uri, most)
        if room is None:
            return Fetched(b"", found)
        await room.take(most if size is None else size)
        async with asyncio.timeout(self._settings.timeout):
            data = await asyncio.to_thread(store.cat_file, path, 0, most + 1)
        if len(data) > most:
            raise too_large(uri, most)
        return Fetched(data, found)


def _stamp(info: Mapping[str, Any]) -> str:
    mark = next((info[name] for name in _MARKS if info.get(name) is not None), None)
    return "" if mark is None else kept(f"{mark} {info.get('size')}")
