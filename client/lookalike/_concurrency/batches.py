"""Make batches of what arrives one by one."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Final, TypeVar, cast

from lookalike._concurrency.budget import Budget

T = TypeVar("T")

_END: Final = object()


def _one(_: object) -> int:
    return 1


async def gathered(
    items: AsyncGenerator[T, None], most: int, *, linger: float = 0.0, weight: Callable[[T], int] = _one
) -> AsyncGenerator[list[T], None]:
    """Yield lists of 1 to `most` items: what has arrived while the consumer was busy with the list before.

    Under load the lists fill by themselves. At most `most` items are read ahead. What `items` raises is raised after
    the items before it.

    Args:
        items: what to group.
        most: the most items in a list.
        linger: seconds to wait for more before a list that is not full is passed on, unless `items` has ended.
        weight: as how many an item counts; the last one of a list may make it heavier than `most`.
    """
    waiting: asyncio.Queue[T | object] = asyncio.Queue()
    ahead = Budget(None, most)
    reader = asyncio.create_task(_read(items, waiting, ahead, weight))
    try:
        ended = False
        while not ended:
            batch, heavy = [await waiting.get()], 0
            with suppress(TimeoutError):
                async with asyncio.timeout(linger):
                    while batch[-1] is not _END:
                        size = weight(cast("T", batch[-1]))
                        heavy += size
                        ahead.release(size)
                        if heavy >= most:
                            break
                        batch.append(await waiting.get())
            if ended := batch[-1] is _END:
                batch.pop()
            if batch:
                yield cast("list[T]", batch)  # the end is no longer among them
        await reader
    finally:
        reader.cancel()
        await asyncio.wait({reader})


async def ahead(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
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
    items: AsyncGenerator[T, None], waiting: "asyncio.Queue[T | object]", ahead: Budget, weight: Callable[[T], int]
) -> None:
    try:
        async with aclosing(items):  # what the source holds goes with this task, not when the collector comes
            async for item in items:
                await ahead.acquire(weight(item))
                waiting.put_nowait(item)
    except asyncio.CancelledError as error:
        if cast("asyncio.Task[None]", asyncio.current_task()).cancelling():
            raise
        waiting.put_nowait(_END)  # it was not this reader that was cancelled, but something that the source awaited
        raise RuntimeError("the source of the items was cancelled") from error
    except BaseException:
        waiting.put_nowait(_END)
        raise
    waiting.put_nowait(_END)
