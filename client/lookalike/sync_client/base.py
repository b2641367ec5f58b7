"""Hold the loop and the client that all blocking methods work with, from the first call until it is closed."""

import atexit
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lookalike.client import Client
from lookalike.sync_client.loop_thread import LoopThread


class BaseClient:
    """The methods of `SyncClient` are written in classes with this base, which are those of `Client`."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        make()  # says at once what is wrong with the arguments
        self._lock = threading.Lock()
        self._running: tuple[int, LoopThread, Client] | None = None

    def __enter__(self) -> Self:
        """Nothing is connected before the first call."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections, and end the thread; what is in flight is cancelled. A later call begins again."""
        with self._lock:
            running, self._running = self._running, None
        if running and running[0] == os.getpid():
            atexit.unregister(self.close)
            running[1].call(running[2].close())
            running[1].stop()

    def _client(self) -> tuple[LoopThread, Client]:
        with self._lock:
            if self._running is None or self._running[0] != os.getpid():
                self._running = (os.getpid(), LoopThread(), self._make())
                atexit.register(self.close)
            return self._running[1:]
