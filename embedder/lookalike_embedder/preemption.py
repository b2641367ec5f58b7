"""Pause bulk work while interactive work computes: on a CPU, both need the same cores."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """The gate is closed while interactive work computes."""

    def __init__(self) -> None:
        self._urgent = 0
        self._opened = threading.Condition()

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """Hold the gate closed within the block."""
        with self._opened:
            self._urgent += 1
        try:
            yield
        finally:
            with self._opened:
                self._urgent -= 1
                self._opened.notify_all()

    def wait(self, limit: float) -> float:
        """Wait until the gate is open, at most `limit` seconds. Returns how many seconds it took."""
        if not self._urgent or limit <= 0:
            return 0.0
        started = time.monotonic()
        with self._opened:
            self._opened.wait_for(lambda: not self._urgent, limit)
        return time.monotonic() - started
