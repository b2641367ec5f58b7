"""Share connections fairly: one project cannot take all of them, however many calls it makes."""

import asyncio
from typing import Final

from lookalike_searcher.quota import QuotaExceeded

MAX_WAITING: Final = 200
"""So many calls on one project may wait for its share: half a second's, with ten connections and 10 ms a search."""


class _Places:
    """The places of one project, and how many calls have one or wait for one."""

    __slots__ = ("calls", "free")

    def __init__(self, share: int) -> None:
        self.calls = 0
        self.free = asyncio.Semaphore(share)


class Shares:
    """The shares admit at most `share` calls on each project at once; further calls wait, first come, first served."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._projects: dict[str, _Places] = {}

    async def take(self, project_name: str) -> None:
        """Take one of the project's places. Whoever has taken it must give it back.

        Raises:
            QuotaExceeded: too many calls wait already.
        """
        places = self._projects.get(project_name)
        if places is None:
            places = self._projects[project_name] = _Places(self._share)
        if places.calls >= self._share + MAX_WAITING:
            raise QuotaExceeded.busy(project_name, MAX_WAITING)
        places.calls += 1
        try:
            await places.free.acquire()
        except BaseException:
            self._leave(project_name, places)
            raise

    def give_back(self, project_name: str) -> None:
        """Give a place of the project back."""
        places = self._projects[project_name]
        places.free.release()
        self._leave(project_name, places)

    def _leave(self, project_name: str, places: _Places) -> None:
        places.calls -= 1
        if not places.calls:
            del self._projects[project_name]
