"""Let the threads of an overloaded server interrupt one another less.

For each call, gRPC wakes threads of its own several times, and Linux lets a thread that wakes interrupt the one that
runs. That makes answers quick. Where hundreds of calls wait, it only costs: the event loop of a searcher on one core
was interrupted 7.7 times for each search, and 0.5 times under the policy SCHED_BATCH (see sched(7)), by which a thread
that wakes interrupts nobody; gRPC then reads, and resets, many calls at a time. That policy is for overloads alone:
beside another program that computes on the same core, the searches of one caller took 4 ms with it, and 2 ms without.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

_LONG_SECONDS: Final = 0.02
"""Where calls wait for longer than this, some milliseconds more do not matter."""
_THREADS: Final = Path("/proc/self/task")


class Scheduling:
    """The scheduling policy of this process's threads follows how long calls wait."""

    def __init__(self) -> None:
        self._is_batch = False

    def note(self, wait_seconds: float) -> None:
        """Choose SCHED_BATCH if calls wait for long, and otherwise the usual policy."""
        if (wait_seconds > _LONG_SECONDS) != self._is_batch:
            self._is_batch = not self._is_batch
            _change(to_batch=self._is_batch)


def _change(*, to_batch: bool) -> None:
    """Give all threads that have the one policy the other. Threads that they start later inherit it."""
    if sys.platform != "linux":
        return
    before, after = (os.SCHED_OTHER, os.SCHED_BATCH) if to_batch else (os.SCHED_BATCH, os.SCHED_OTHER)
    for thread in map(int, os.listdir(_THREADS)):
        with suppress(OSError):  # it has ended, or a sandbox does not allow it
            if os.sched_getscheduler(thread) == before:
                os.sched_setscheduler(thread, after, os.sched_param(0))
