"""How soon after an overload a caller is answered as quickly as before it."""

import asyncio
import math
import statistics
import time
from typing import Final

from tests.bench.overload.calls import OK, Caller

_WINDOW: Final = 9
"""Calls whose median is looked at: one slow call of a noisy machine does not tell."""
_NEAR: Final = 1.5
_GIVES_UP: Final = 60.0
_REFUSED_PAUSE: Final = 0.01


class Probe:
    """Calls one after the other, by one caller."""

    def __init__(self, made: Caller, deadline: float) -> None:
        self._caller, self._deadline = made, deadline

    async def p50(self, seconds: float) -> float:
        """Seconds of a call at the median, of at least a window of calls."""
        end, found = time.monotonic() + seconds, [await self._seconds()]
        while time.monotonic() < end or len(found) < _WINDOW:
            found.append(await self._seconds())
        return statistics.median(found)

    async def recovered(self, since: float, before: float) -> float:
        """Seconds from `since` until calls begin whose median is near `before`; at most a minute."""
        begun: list[float] = []
        taken: list[float] = []
        while time.monotonic() < since + _GIVES_UP:
            begun.append(time.monotonic())
            taken.append(await self._seconds())
            if len(taken) >= _WINDOW and statistics.median(taken[-_WINDOW:]) <= before * _NEAR:
                return max(0.0, begun[-_WINDOW] - since)
        return _GIVES_UP

    async def _seconds(self) -> float:
        began = time.monotonic()
        answer = await self._caller.call(began, self._deadline, 0)
        if answer.status == OK:
            return answer.ended - began
        await asyncio.sleep(_REFUSED_PAUSE)
        return math.inf
