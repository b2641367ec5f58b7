"""Limit how many requests a stream holds: as many as its server answers soon."""

import asyncio
import math
import time
from typing import Final, Generic, Protocol, TypeVar


class Sequenced(Protocol):
    """A request, or an answer, has a number that joins the two."""

    @property
    def sequence(self) -> int: ...


Request = TypeVar("Request", bound=Sequenced)

SOON_SECONDS: Final = 1.0
"""Long enough for a GPU's batches, each way through the network included; what a slow server holds in the end, while
the others have nothing left to do, takes no longer."""
LEAST: Final = 8
"""Enough to keep a CPU's cores busy, however slow they are."""


class Window(Generic[Request]):
    """The window holds the requests of a stream that are not answered yet.

    Streams that share a queue leave to the others what they would not get answered soon, so that a fast server is given
    more than a slow one. The window begins small; with every answer it grows by one if the request was answered soon,
    and shrinks by one if not.

    Args:
        soon: in how many seconds a request should be answered; infinite: any number is held.
    """

    def __init__(self, soon: float) -> None:
        self._soon = soon
        self._size = math.inf if soon == math.inf else LEAST
        self._unanswered: dict[int, tuple[Request, float]] = {}
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        """Return how many requests are unanswered."""
        return len(self._unanswered)

    def requests(self) -> list[Request]:
        """Return what is unanswered, in the order in which it came."""
        return [request for request, _ in self._unanswered.values()]

    def has_room(self) -> bool:
        """Say whether there is room for one more."""
        return len(self) < self._size

    async def room(self) -> None:
        """Wait until there is room for one more."""
        await self._room.wait()

    def add(self, request: Request) -> None:
        """Hold a request until it is answered."""
        self._unanswered[request.sequence] = request, time.monotonic()
        self._note_room()

    def answered(self, *sequences: int) -> set[int]:
        """Let go of requests that were answered in one message; which of them were held."""
        was_full = len(self) >= self._size
        held = set()
        for sequence in sequences:
            if entry := self._unanswered.pop(sequence, None):
                held.add(sequence)
                if time.monotonic() - entry[1] > self._soon:
                    self._size = max(LEAST, self._size - 1)
                elif was_full:
                    self._size += 1
        self._note_room()
        return held

    def _note_room(self) -> None:
        if self.has_room():
            self._room.set()
        else:
            self._room.clear()
