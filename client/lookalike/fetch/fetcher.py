"""Choose the backend that fetches an image, by the image's URI."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.util import find_spec
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lookalike._concurrency.budget import Room
from lookalike.fetch import local, origin
from lookalike.fetch.local import Local
from lookalike.fetch.stamp import bound, unbound
from lookalike.fetch.types import Failed, Fetched, Settings, Waiting, too_large
from lookalike.records import Item

if TYPE_CHECKING:
    from lookalike.fetch.host_limiter import HostLimiter
    from lookalike.fetch.remote import Remote
    from lookalike.fetch.web import Web


class Fetcher:
    """Fetch the images of items; an async context manager. Images of other machines need the extra `index`.

    Args:
        settings: how images are fetched.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = Local(settings.max_bytes)
        self._web: Web | None = None
        self._remote: Remote | None = None
        self._limiters: list[HostLimiter] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Return the fetcher; connections are opened when they are first needed."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections that were opened."""
        await self._stack.aclose()

    async def stamps(self, items: Sequence[Item]) -> list[str]:
        """Return the present stamp of each item's file; empty if it is to be read, or is not on this machine."""
        if self._settings.reread:
            return [""] * len(items)
        paths = [self._path(item) for item in items]
        local_paths = [path for path in paths if path is not None]
        stamps = iter(await asyncio.to_thread(local.stamps, local_paths) if local_paths else [])
        found = ["" if path is None else next(stamps) for path in paths]
        return [bound(stamp, item.path) if item.path else stamp for item, stamp in zip(items, found, strict=True)]

    async def fetch(self, item: Item, stamp: str, room: Room | None) -> Fetched | None:
        """Fetch the image of an item; arguments, result and errors are those of `Backend.fetch`."""
        stamp = "" if self._settings.reread else stamp
        if not item.path or item.image is not None:
            return await self._fetch(item, stamp, room)
        fetched = await self._fetch(item, unbound(stamp, item.path), room)
        return fetched and replace(fetched, stamp=bound(fetched.stamp, item.path))

    async def _fetch(self, item: Item, stamp: str, room: Room | None) -> Fetched | None:
        if isinstance(item.image, bytes | bytearray | memoryview):
            if len(item.image) > self._settings.max_bytes:
                raise too_large(repr(item.uri), self._settings.max_bytes)
            if room:
                await room.take(len(item.image))
            return Fetched(bytes(item.image), "")
        if item.image is not None:
            return await self._local.read(item.image, stamp, room)
        self.check(item)
        scheme = origin.scheme_of(item.location)
        if scheme in origin.WEB:
            web = self._web or await self._open_web()
            return await web.fetch(item.location, stamp, room, public=self._is_bound(item))
        backend = self._local if scheme in origin.LOCAL else self._remote or self._open_remote()
        return await backend.fetch(item.location, stamp, room)

    def check(self, item: Item) -> None:
        """Raise Failed if the item is to be read from a URI that its manifest may not name."""
        if item.image is None:
            origin.check(item.location, None if self._settings.trust_manifests else item.origin)

    def _is_bound(self, item: Item) -> bool:
        """Return whether the item may only lead to public addresses."""
        return item.origin is not None and not (item.origin.private or self._settings.trust_manifests)

    def seconds_until_up(self) -> float:
        """Return the seconds until the first paused host may be contacted again; 0 if no host is paused."""
        return min((seconds for limiter in self._limiters if (seconds := limiter.seconds_until_up())), default=0.0)

    def waiting(self) -> list[Waiting]:
        """Return which hosts are paused, and until when."""
        return [waiting for limiter in self._limiters for waiting in limiter.waiting()]

    async def _open_web(self) -> "Web":
        _need("aiohttp", "http")
        from lookalike.fetch.web import Web

        self._web = await self._stack.enter_async_context(Web(self._settings))
        self._limiters.append(self._web.hosts)
        return self._web

    def _open_remote(self) -> "Remote":
        _need("fsspec", "stores")
        from lookalike.fetch.remote import Remote

        self._remote = Remote(self._settings)
        self._limiters.append(self._remote.hosts)
        return self._remote

    def _path(self, item: Item) -> str | PathLike[str] | None:
        """Return the path of the item's file; None if it is not on this machine, or may not be read."""
        if item.image is not None:
            return None if isinstance(item.image, bytes | bytearray | memoryview) else item.image
        try:
            self.check(item)
            return local.path_of(item.location) if local.is_local(item.location) else None
        except Failed:
            return None


def _need(module: str, source: str) -> None:
    if find_spec(module) is None:
        raise Failed(f"{source}: needs the extra `index`: pip install 'lookalike[index]'", reason="NOT_INSTALLED")
