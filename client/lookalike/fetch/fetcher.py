"""Chooses who fetches an image."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from lookalike.budget import Room
from lookalike.fetch import local
from lookalike.fetch.fetched import Failed, Fetched, Place, Settings, too_large
from lookalike.fetch.local import Local
from lookalike.records import Item

if TYPE_CHECKING:
    from lookalike.fetch.host import Hosts

_WEB: Final = ("http", "https")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):").match


class Fetcher:
    """Fetches items' images; an async context manager. What is not here needs the extra `index`.

    Args:
        settings: how.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = Local(settings.max_bytes)
        self._places: dict[str, Place] = {"file": self._local}
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
        paths = [_path(item) for item in items]
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
        if not (named := _SCHEME(item.uri)):
            raise Failed(f"{item.uri!r}: must begin with file:, https: or the like", reason="INVALID_URI")
        scheme = named[1].lower()
        place = self._places.get(scheme) or await self._open(scheme)
        return await place.fetch(item.uri, stamp, room)

    def seconds_until_up(self) -> float:
        """Until a host that is left alone may be asked again; 0 if there is none."""
        return min((seconds for hosts in self._hosts if (seconds := hosts.seconds_until_up())), default=0.0)

    async def _open(self, scheme: str) -> Place:
        if find_spec("aiohttp" if scheme in _WEB else "fsspec") is None:
            raise Failed(f"{scheme}: needs the extra `index`: pip install 'lookalike[index]'", reason="NOT_INSTALLED")
        place: Place
        if scheme in _WEB:
            from lookalike.fetch.web import Web

            web = await self._stack.enter_async_context(Web(self._settings))
            place = self._places["http"] = self._places["https"] = web
            self._hosts.append(web.hosts)
        else:
            from lookalike.fetch.remote import Remote

            remote = Remote(self._settings)
            place = self._places[scheme] = remote
            self._hosts.append(remote.hosts)
        return place


def _path(item: Item) -> str | PathLike[str] | None:
    if item.image is None:
        try:
            return local.path_of(item.uri) if item.uri.startswith("file:") else None
        except Failed:
            return None
    return None if isinstance(item.image, bytes | bytearray | memoryview) else item.image
