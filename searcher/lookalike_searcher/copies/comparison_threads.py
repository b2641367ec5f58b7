"""Compare fingerprints outside of the event loop, in threads that all who compare them share."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from lookalike_searcher.copies import overlay

T = TypeVar("T")


class ComparisonThreads:
    """The threads run within the context. Whoever is cancelled leaves them free.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._executor = ThreadPoolExecutor(count, "comparison")

    async def __aenter__(self) -> Self:
        """Begin, and prepare for the first comparison in the background."""
        self._executor.submit(overlay.prepare)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the threads end after what they are comparing."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def run(self, compare: Callable[[], T]) -> T:
        """Return what the function returns in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, compare)
