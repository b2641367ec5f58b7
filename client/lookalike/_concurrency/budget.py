"""Bound what is in flight, by count and by bytes."""

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

    def try_grow(self, size: int) -> bool:
        """Let one of the items be so many bytes larger, if that fits in; whether it does."""
        if fits := not self._turn.locked() and (self.items == 1 or self.bytes + size <= self._max_bytes):
            self.bytes += size
        return fits

    def release(self, size: int, *, items: int = 1) -> None:
        """Give back an item of `size` bytes; or, of no items, bytes alone."""
        self.items -= items
        self.bytes -= size
        self._released.set()

    def _fits(self, size: int) -> bool:
        if not self.items:
            return True
        return (self._max_items is None or self.items < self._max_items) and self.bytes + size <= self._max_bytes

    def _take(self, size: int) -> None:
        self.items += 1
        self.bytes += size


class Room:
    """An item holds this room of a budget of bytes.

    Args:
        budget: the budget; it bounds bytes alone.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = 0
        self._holds = False

    async def take(self, size: int) -> None:
        """Hold at least so many bytes. What was held is given back before it waits, so nobody waits for himself."""
        if not self.try_take(size):
            self.give_back()
            await self._budget.acquire(size)
            self.size, self._holds = size, True

    def try_take(self, size: int) -> bool:
        """Hold at least so many bytes if they can be had at once; say whether they can."""
        if self._holds and size <= self.size:
            return True
        if not self._holds and not self._budget.try_acquire(size):
            return False
        if self._holds and not self._budget.try_grow(size - self.size):
            return False
        self.size, self._holds = size, True
        return True

    def settle(self, size: int) -> None:
        """Hold so many bytes and no more: fewer than before, or few more."""
        self._budget.release(self.size - size, items=0)
        self.size = size

    def give_back(self) -> None:
        """Give back all that is held."""
        if self._holds:
            self._budget.release(self.size)
        self.size, self._holds = 0, False
