"""Receive bodies, as many bytes at once as there is room for; where there is none, the oldest body is refused.

It is bytes that are counted, not bodies: one that does not come, or comes a byte each second, takes next to nothing,
and keeps nobody out.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus

from lookalike_gateway.problems import CLOSE, Refused


class Share:
    """A share is what one body has of the room."""

    def __init__(self, room: "Room") -> None:
        self._room = room
        self._deadline: asyncio.Timeout | None = None
        self._evicted = False
        self.size = 0

    def take(self, size: int) -> None:
        """So many bytes more have come. Raises Refused: there is no room, and nobody to make some."""
        self.size += size
        self._room.grow(self, size)

    def evict(self) -> None:
        """Refuse this body to make room for others."""
        self._evicted = True
        if self._deadline and not self._deadline.expired():
            self._deadline.reschedule(0)

    @asynccontextmanager
    async def in_time(self, seconds: float) -> AsyncIterator[None]:
        """In this block the body is to come. Raises Refused: it did not, or others needed the room."""
        try:
            async with asyncio.timeout(seconds) as self._deadline:
                yield
        except TimeoutError:
            if self._evicted:
                raise too_many() from None
            detail = f"the body did not come in {seconds:g} s"
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "BODY_TOO_SLOW", detail, headers=CLOSE) from None
        finally:
            self._room.arrived(self)


class Room:
    """The room holds so many bytes of bodies: of those that arrive, and of those that are worked on."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = 0
        self._coming: dict[Share, None] = {}

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Give a body its share of the room, to the end of the block."""
        share = Share(self)
        self._coming[share] = None
        try:
            yield share
        finally:
            self._held -= share.size
            self.arrived(share)

    def grow(self, share: Share, size: int) -> None:
        """A share has become larger by so much: see `Share.take`."""
        self._held += size
        if self._held <= self._max_bytes:
            return
        oldest = next((other for other in self._coming if other is not share), None)
        if oldest is None:
            raise too_many()
        self.arrived(oldest)
        oldest.evict()

    def arrived(self, share: Share) -> None:
        """It is not on its way any more, and so not the one to go."""
        self._coming.pop(share, None)


def too_many() -> Refused:
    """There are as many photos as there may be."""
    detail = "as many photos as there is room for are being received or searched for already; try again"
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, "TOO_MANY_UPLOADS", detail, headers={"Retry-After": "1", **CLOSE})
