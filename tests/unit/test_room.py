"""What items hold of the budget of bytes, while their sizes are guessed, known, and known better."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from lookalike._concurrency.budget import Budget, Room

MOST, GUESS = 100, 10
sizes = st.lists(st.tuples(st.integers(0, 250), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


class Tight(Budget):
    """Notes how much is held at most, but for a single item."""

    held = 0

    def release(self, size: int, *, items: int = 1) -> None:
        super().release(size, items=items)
        assert self.items >= 0
        assert self.bytes >= 0

    def note(self) -> None:
        if self.items > 1:
            self.held = max(self.held, self.bytes)


@given(sizes)
def test_no_more_is_held_than_there_is_and_everyone_gets_his_turn(items: list[tuple[int, int, int]]) -> None:
    """Also those that are larger than the guess, and those that are larger than everything."""
    budget = Tight(None, MOST)

    async def hold(size: int, before: int, after: int) -> None:
        room = Room(budget)
        await room.take(GUESS)
        budget.note()
        for _ in range(before):
            await asyncio.sleep(0)
        if not room.try_take(size):
            await room.take(size)
        budget.note()
        assert room.size >= size
        for _ in range(after):
            await asyncio.sleep(0)
        room.settle(size)
        budget.note()
        room.give_back()
        room.give_back()

    async def run() -> None:
        await asyncio.gather(*(hold(*item) for item in items))
        assert (budget.items, budget.bytes, budget.held) == (0, 0, min(budget.held, MOST))

    asyncio.run(run())


@given(sizes)
def test_those_who_stop_waiting_leave_nothing_behind(items: list[tuple[int, int, int]]) -> None:
    budget = Tight(None, MOST)

    async def hold(size: int, before: int, _: int) -> None:
        room = Room(budget)
        try:
            await room.take(size)
            for _ in range(before):
                await asyncio.sleep(0)
        finally:
            room.give_back()

    async def run() -> None:
        tasks = [asyncio.create_task(hold(*item)) for item in items]
        await asyncio.sleep(0)
        for task, (_, _, after) in zip(tasks, items, strict=True):
            if after > 1:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (budget.items, budget.bytes) == (0, 0)

    asyncio.run(run())


async def test_room_that_is_held_is_not_taken_twice() -> None:
    budget = Budget(None, MOST)
    room = Room(budget)
    await room.take(60)
    await room.take(50)
    assert budget.bytes == room.size == 60
    await room.take(90)
    assert budget.bytes == room.size == 90
    room.settle(20)
    assert budget.bytes == 20
    room.give_back()
    assert (budget.items, budget.bytes) == (0, 0)
