"""The bound on what is in flight."""

import asyncio

from lookalike._concurrency.budget import Budget


async def blocked(budget: Budget, size: int) -> "asyncio.Task[None] | None":
    """The task that waits to acquire, or None if it did not have to."""
    task = asyncio.create_task(budget.acquire(size))
    for _ in range(3):
        await asyncio.sleep(0)
    return None if task.done() else task


async def test_it_waits_for_items_and_for_bytes() -> None:
    budget = Budget(max_items=2, max_bytes=100)
    assert await blocked(budget, 60) is None
    waiting = await blocked(budget, 60)
    assert waiting is not None
    budget.release(60)
    await waiting
    assert await blocked(budget, 0) is None
    third = await blocked(budget, 0)
    assert third is not None
    third.cancel()


async def test_an_item_larger_than_the_budget_passes_when_it_is_alone() -> None:
    budget = Budget(max_items=2, max_bytes=100)
    assert await blocked(budget, 1000) is None
    waiting = await blocked(budget, 1)
    assert waiting is not None
    budget.release(1000)
    await waiting
