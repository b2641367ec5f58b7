"""Admit calls to connections: fairly between projects, and only calls that can be answered in time.

A call needs a place in its project's share, and then a connection, of which all projects have the same ones: with many
busy projects, the connections are the limit, and with one, its share is.

A queue that is long helps nobody: what leaves it late is answered to callers who have gone. So a call may wait only if
the pace at which calls now end says that it will not wait long, measured by its own deadline; otherwise it is refused
at once. Nichols and Jacobson ("Controlling queue delay", ACM Queue 2012) bound a queue by time in this way, not by
length. Where the estimate was wrong, and calls wait much longer, the newest are served first, as they can still be
answered (adaptive LIFO; Maurer: "Fail at scale", ACM Queue 2015).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lookalike_searcher.quota import QuotaExceeded
from lookalike_serving.errors import DomainError
from lookalike_serving.patience import acceptable_wait, overdue_after, retry_after

MAX_WAITING: Final = 200
"""So many calls may wait for one share at most, however quick they are, as each needs memory."""
_WEIGHT: Final = 0.1
"""The weight of the last call in the mean time between two ends."""
_FIRST_GUESS_SECONDS: Final = 0.002

Refuse = Callable[[str, int, float, float], DomainError]
"""Makes the refusal of a call: of its project's name, how many calls wait, and the seconds to wait and to stay away."""


@dataclass(eq=False)
class _Waiter:
    """A call that waits for a place: until when newer ones let it go first, its deadline, and how it is told.

    Times are those of `time.monotonic`.
    """

    overdue: float
    deadline: float
    admitted: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class _Places:
    """The places of one project.

    Attributes:
        free: how many are free.
        waiting: the calls that wait for one, oldest first.
        pace: mean seconds from one end of a call to the next, while no place is free.
        last_end: when a call ended last, or when the last free place was taken.
    """

    __slots__ = ("free", "last_end", "pace", "waiting")

    def __init__(self, share: int, pace: float) -> None:
        self.free = share
        self.waiting: deque[_Waiter] = deque()
        self.pace = pace
        self.last_end = 0.0

    def expected_wait(self, now: float) -> float:
        """Return the seconds that one more call would wait. While no call ends, that is at least as long again."""
        return max((len(self.waiting) + 1) * self.pace, now - self.last_end)


class Admission:
    """The admission gives at most `share` places to each project at once.

    Args:
        share: places of one project.
        patience: seconds that callers without a deadline are taken to wait for their answer.
        refuse: makes refusals.
    """

    def __init__(self, share: int, patience: float, refuse: Refuse = QuotaExceeded.busy) -> None:
        self._share = share
        self._patience = patience
        self._refuse = refuse
        self._pace = _FIRST_GUESS_SECONDS
        self._projects: dict[str, _Places] = {}

    @property
    def calls_wait(self) -> bool:
        """Say whether any call waits for a place of its project."""
        return any(places.waiting for places in self._projects.values())

    def check(self, project_name: str, remaining: float, waited: float = 0.0) -> None:
        """Refuse a call that `take` would refuse, before any work is done for it.

        Args:
            project_name: the name of the project.
            remaining: seconds until the caller's deadline; infinite if there is none.
            waited: seconds that the call has waited before it came here.

        Raises:
            DomainError: the call would wait too long; see `refuse`.
        """
        places = self._projects.get(project_name)
        if places and not places.free:
            self._check(places, project_name, acceptable_wait(remaining, self._patience, waited))

    async def take(self, project_name: str, remaining: float, waited: float = 0.0) -> None:
        """Take one of the project's places. Whoever has taken it must give it back.

        Args:
            project_name: the name of the project.
            remaining: seconds until the caller's deadline; infinite if there is none.
            waited: seconds that the call has waited before it came here.

        Raises:
            DomainError: the call would wait too long, or has; see `refuse`.
        """
        places = self._projects.get(project_name)
        if places is None:
            places = self._projects[project_name] = _Places(self._share, self._pace)
        now = time.monotonic()
        if places.free:
            places.free -= 1
            places.last_end = now
            return
        self._check(places, project_name, acceptable_wait(remaining, self._patience, waited))
        overdue = now + overdue_after(remaining, self._patience, waited)
        waiter = _Waiter(overdue, now + min(remaining, self._patience))
        places.waiting.append(waiter)
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter in places.waiting:
                places.waiting.remove(waiter)
            elif not waiter.admitted.cancelled() and waiter.admitted.exception() is None:
                self._pass_on(project_name, places)  # it was admitted just now
            raise

    def _check(self, places: _Places, project_name: str, acceptable: float) -> None:
        expected = places.expected_wait(time.monotonic())
        if expected > acceptable or len(places.waiting) >= MAX_WAITING:
            raise self._refusal(project_name, places, expected)

    def give_back(self, project_name: str) -> None:
        """Give a place of the project back."""
        places = self._projects[project_name]
        if not places.free:
            now = time.monotonic()
            places.pace += _WEIGHT * (now - places.last_end - places.pace)
            places.last_end, self._pace = now, places.pace
        self._pass_on(project_name, places)

    def _pass_on(self, project_name: str, places: _Places) -> None:
        """Give a free place to whoever waits, or keep it."""
        now = time.monotonic()
        waiting = places.waiting
        needed = now + places.pace * self._share  # when a call would end that begins now
        while waiting:
            oldest = waiting[0]
            is_late = oldest.deadline < needed
            overloaded = not is_late and now > oldest.overdue
            waiter = waiting.pop() if overloaded else waiting.popleft()
            if waiter.admitted.done():  # it was cancelled just now
                continue
            if waiter.deadline < needed:
                waiter.admitted.set_exception(self._refusal(project_name, places, places.expected_wait(now)))
                continue
            waiter.admitted.set_result(None)
            return
        places.free += 1
        if places.free == self._share:
            del self._projects[project_name]

    def _refusal(self, project_name: str, places: _Places, expected: float) -> DomainError:
        return self._refuse(project_name, len(places.waiting), expected, retry_after(expected))
