"""Fair shares: one project cannot take all connections, however much it asks for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lookalike_searcher.errors import QuotaExceeded

MAX_WAITING: Final = 200
"""Calls on one project that may wait for its share: with ten connections and searches of 10 ms, half a second's."""


class Shares:
    """Lets at most `share` calls on each project in at once; the others wait, first come, first served."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._projects: dict[str, tuple[asyncio.Semaphore, set[object]]] = {}

    @asynccontextmanager
    async def of(self, project: str) -> AsyncIterator[None]:
        """Hold one of the project's places in the block.

        Raises:
            QuotaExceeded: too many wait already.
        """
        places, calls = self._projects.setdefault(project, (asyncio.Semaphore(self._share), set()))
        if len(calls) >= self._share + MAX_WAITING:
            raise QuotaExceeded.busy(project, MAX_WAITING)
        call = object()
        calls.add(call)
        try:
            async with places:
                yield
        finally:
            calls.discard(call)
            if not calls:
                del self._projects[project]
