"""Bounds what is in flight, by count and by bytes."""

import asyncio


class Budget:
    """Lets tasks of one event loop take and give back; who waits first is served first.

    Args:
        max_items: the most items in flight; None: any number.
        max_bytes: the most bytes in flight; one item that is larger than this passes when it is alone.

    Attributes:
        items: how many are in flight.
        bytes: how large they are together.
    """

    def __init__(self, max_items: int | None, max_bytes: int) -> None:
        self._max_items, self._max_bytes = max_items, max_bytes
        self.items = self.bytes = 0
        self._turn = asyncio.Lock()  # held by the first in the queue
        self._released = asyncio.Event()

    async def acquire(self, size: int) -> None:
        """Wait until an item of `size` bytes fits in."""
        if self.try_acquire(size):
            return
        async with self._turn:
            while not self._fits(size):
                self._released.clear()
                await self._released.wait()
            self._take(size)

    def try_acquire(self, size: int) -> bool:
        """Take at once what fits in, unless others wait; whether it did."""
        if fits := not self._turn.locked() and self._fits(size):
            self._take(size)
        return fits

    def release(self, size: int) -> None:
        """Give back an item of `size` bytes."""
        self.items -= 1
        self.bytes -= size
        self._released.set()

    def _fits(self, size: int) -> bool:
        if not self.items:
            return True
        return (self._max_items is None or self.items < self._max_items) and self.bytes + size <= self._max_bytes

    def _take(self, size: int) -> None:
        self.items += 1
        self.bytes += size
