"""Make batches of what arrives one by one."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Final, TypeVar, cast

from lookalike._concurrency.budget import Budget

T = TypeVar("T")

_END: Final = object()


def _weight_of_one(_: object) -> int:
    return 1


async def batched(
    items: AsyncGenerator[T, None], max_size: int, *, linger: float = 0.0, weight: Callable[[T], int] = _weight_of_one
) -> AsyncGenerator[list[T], None]:
    """Yield lists of 1 to `max_size` items: what has arrived while the consumer was busy with the list before.

    Under load the lists fill by themselves. At most `max_size` items are read ahead. What `items` raises is raised
    after the items before it.

    Args:
        items: what to group.
        max_size: the most items in a list.
        linger: seconds to wait for more before a list that is not full is passed on, unless `items` has ended.
        weight: as how many an item counts; the last one of a list may make it heavier than `max_size`.
    """
    queue: asyncio.Queue[T | object] = asyncio.Queue()
    budget = Budget(None, max_size)
    reader = asyncio.create_task(_read(items, queue, budget, weight))
    try:
        ended = False
        while not ended:
            batch, batch_weight = [await queue.get()], 0
            with suppress(TimeoutError):
                async with asyncio.timeout(linger):
                    while batch[-1] is not _END:
                        item_weight = weight(cast("T", batch[-1]))
                        batch_weight += item_weight
                        budget.release(item_weight)
                        if batch_weight >= max_size:
                            break
                        batch.append(await queue.get())
            if ended := batch[-1] is _END:
                batch.pop()
            if batch:
                yield cast("list[T]", batch)  # the end is no longer among them
        await reader
    finally:
        reader.cancel()
        await asyncio.wait({reader})


async def prefetched(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Yield the items; the next one is made while the consumer is busy with the one before."""
    upcoming = asyncio.ensure_future(anext(items, _END))
    try:
        while (item := await upcoming) is not _END:
            upcoming = asyncio.ensure_future(anext(items, _END))
            yield cast("T", item)
    finally:
        upcoming.cancel()
        await asyncio.wait({upcoming})
        await items.aclose()


async def _read(
    items: AsyncGenerator[T, None], queue: "asyncio.Queue[T | object]", budget: Budget, weight: Callable[[T], int]
) -> None:
    try:
        async with aclosing(items):  # what the source holds goes with this task, not when the collector comes
            async for item in items:
                await budget.acquire(weight(item))
                queue.put_nowait(item)
    except asyncio.CancelledError as error:
        if cast("asyncio.Task[None]", asyncio.current_task()).cancelling():
            raise
        queue.put_nowait(_END)  # it was not this reader that was cancelled, but something that the source awaited
        raise RuntimeError("the source of the items was cancelled") from error
    except BaseException:
        queue.put_nowait(_END)
        raise
    queue.put_nowait(_END)
