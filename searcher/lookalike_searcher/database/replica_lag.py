"""Measure how far a replica is behind its primary, without writing anything.

The primary's position in its log is noted at intervals, and the replica is asked for its own position. The replica has
all that the primary had at the newest note that the replica has passed.
"""

import math
from collections import deque
from typing import Final

FRESH_SECONDS: Final = 3.0
"""The replica counts as up to date if the newest note that it has passed is no older than this."""
_NOTES: Final = 600
"""So many notes are kept for a replica that stands still. After that, its lag is known in coarser steps."""


class Lag:
    """The lag is that of one replica. Times are seconds of a clock, positions are bytes of the log."""

    def __init__(self) -> None:
        self._notes: deque[tuple[float, int]] = deque(maxlen=_NOTES)
        self._reached = -math.inf
        self._has_all = False

    def note(self, time: float, written: int) -> None:
        """Note the primary's position at this time, or later."""
        self._notes.append((time, written))

    def compare(self, replayed: int) -> None:
        """Compare the replica's position with the notes."""
        while self._notes and self._notes[0][1] <= replayed:
            self._reached, _ = self._notes.popleft()
        self._has_all = not self._notes

    def seconds(self, now: float) -> float:
        """Return the most that the replica may be behind: 0 if it has passed all notes recently, else it grows."""
        age = now - self._reached
        return 0.0 if self._has_all and age <= FRESH_SECONDS else age
