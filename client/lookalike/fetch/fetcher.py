"""Chooses who fetches an image."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lookalike._concurrency.budget import Room
from lookalike.fetch import local, origin
from lookalike.fetch.local import Local
from lookalike.fetch.types import Failed, Fetched, Settings, too_large
from lookalike.records import Item

if TYPE_CHECKING:
    from lookalike.fetch.host_limiter import Hosts
    from lookalike.fetch.remote import Remote
    from lookalike.fetch.web import Web


class Fetcher:
    """Fetches items' images; an async context manager. What is not here needs the extra `index`.

    Args:
        settings: how.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = Local(settings.max_bytes)
        self._web: Web | None = None
        self._remote: Remote | None = None
        self._hosts: list[Hosts] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Nothing is opened before it is needed."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close connections."""
        await self._stack.aclose()

    async def stamps(self, items: Sequence[Item]) -> list[str]:
        """The present stamp of each item's file; empty if it is not of this machine, so that it must be asked for."""
        paths = [self._path(item) for item in items]
        here = [path for path in paths if path is not None]
        found = iter(await asyncio.to_thread(local.stamps, here) if here else [])
        return ["" if path is None else next(found) for path in paths]

    async def fetch(self, item: Item, stamp: str, room: Room | None) -> Fetched | None:
        """See `Place`."""
        if isinstance(item.image, bytes | bytearray | memoryview):
            if len(item.image) > self._settings.max_bytes:
                raise too_large(repr(item.uri), self._settings.max_bytes)
            if room:
                await room.take(len(item.image))
            return Fetched(bytes(item.image), "")
        if item.image is not None:
            return await self._local.read(item.image, stamp, room)
        self.check(item)
        scheme = origin.scheme_of(item.uri)
        if scheme in origin.WEB:
            web = self._web or await self._open_web()
            return await web.fetch(item.uri, stamp, room, public=self._is_bound(item))
        place = self._local if scheme in origin.LOCAL else self._remote or self._open_remote()
        return await place.fetch(item.uri, stamp, room)

    def check(self, item: Item) -> None:
        """Raise Failed if the item names what its manifest may not name."""
        if item.image is None:
            origin.check(item.uri, None if self._settings.trust_manifests else item.origin)

    def _is_bound(self, item: Item) -> bool:
        """Whether the item is not to lead to addresses that are not public."""
        return item.origin is not None and not (item.origin.private or self._settings.trust_manifests)

    def seconds_until_up(self) -> float:
        """Until a host that is left alone may be asked again; 0 if there is none."""
        return min((seconds for hosts in self._hosts if (seconds := hosts.seconds_until_up())), default=0.0)

    async def _open_web(self) -> "Web":
        _need("aiohttp", "http")
        from lookalike.fetch.web import Web

        self._web = await self._stack.enter_async_context(Web(self._settings))
        self._hosts.append(self._web.hosts)
        return self._web

    def _open_remote(self) -> "Remote":
        _need("fsspec", "stores")
        from lookalike.fetch.remote import Remote

        self._remote = Remote(self._settings)
        self._hosts.append(self._remote.hosts)
        return self._remote

    def _path(self, item: Item) -> str | PathLike[str] | None:
        """Where its file is, if it is one of this machine, and may be looked at."""
        if item.image is not None:
            return None if isinstance(item.image, bytes | bytearray | memoryview) else item.image
        try:
            self.check(item)
            return local.path_of(item.uri) if local.is_local(item.uri) else None
        except Failed:
            return None


def _need(module: str, what: str) -> None:
    if find_spec(module) is None:
        raise Failed(f"{what}: needs the extra `index`: pip install 'lookalike[index]'", reason="NOT_INSTALLED")
