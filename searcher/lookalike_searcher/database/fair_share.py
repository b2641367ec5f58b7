"""Share connections fairly: one project cannot take all of them, however many calls it makes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lookalike_searcher.quota import QuotaExceeded

MAX_WAITING: Final = 200
"""So many calls on one project may wait for its share: half a second's, with ten connections and 10 ms a search."""


class Shares:
    """The shares admit at most `share` calls on each project at once; further calls wait, first come, first served."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._projects: dict[str, tuple[asyncio.Semaphore, set[object]]] = {}

    @asynccontextmanager
    async def of(self, project_name: str) -> AsyncIterator[None]:
        """Hold one of the project's places within the block.

        Raises:
            QuotaExceeded: too many calls wait already.
        """
        places, calls = self._projects.setdefault(project_name, (asyncio.Semaphore(self._share), set()))
        if len(calls) >= self._share + MAX_WAITING:
            raise QuotaExceeded.busy(project_name, MAX_WAITING)
        call = object()
        calls.add(call)
        try:
            async with places:
                yield
        finally:
            calls.discard(call)
            if not calls:
                del self._projects[project_name]
