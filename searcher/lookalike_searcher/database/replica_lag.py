"""How far a replica is behind its primary, found out without writing anything.

It is noted, again and again, how far the primary's log is written; and the replica is asked how far it has replayed it.
What the primary held when the newest note was made that the replica has reached, the replica holds too.
"""

import math
from collections import deque
from typing import Final

FRESH_SECONDS: Final = 3.0
"""How old the newest note may be for the replica to count as up to date."""
_NOTES: Final = 600
"""Notes that are kept for a replica that stands still. Without the oldest, its lag is told in coarser steps."""


class Lag:
    """The lag of one replica. Times are a clock's seconds, positions are bytes of the log."""

    def __init__(self) -> None:
        self._notes: deque[tuple[float, int]] = deque(maxlen=_NOTES)
        self._reached = -math.inf
        self._has_all = False

    def note(self, time: float, written: int) -> None:
        """At that time or later, the primary had written so far."""
        self._notes.append((time, written))

    def compare(self, replayed: int) -> None:
        """The replica has replayed so far."""
        while self._notes and self._notes[0][1] <= replayed:
            self._reached, _ = self._notes.popleft()
        self._has_all = not self._notes

    def seconds(self, now: float) -> float:
        """The most that the replica may be behind: 0 if it had all that was noted, and that is fresh; else it grows."""
        age = now - self._reached
        return 0.0 if self._has_all and age <= FRESH_SECONDS else age
