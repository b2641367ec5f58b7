"""Bounds what is in flight, by count and by bytes."""

import asyncio


class Budget:
    """Lets one task take and others give back.

    Args:
        max_items: the most items in flight.
        max_bytes: the most bytes in flight; one item that is larger than this passes when it is alone.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self._max_items, self._max_bytes = max_items, max_bytes
        self._items = self._bytes = 0
        self._released = asyncio.Event()

    async def acquire(self, size: int) -> None:
        """Wait until an item of `size` bytes fits in."""
        while self._items and (self._items >= self._max_items or self._bytes + size > self._max_bytes):
            self._released.clear()
            await self._released.wait()
        self._items += 1
        self._bytes += size

    def release(self, size: int) -> None:
        """Give back an item of `size` bytes."""
        self._items -= 1
        self._bytes -= size
        self._released.set()
