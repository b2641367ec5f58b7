"""Groups what arrives one by one into batches."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final, TypeVar, cast

T = TypeVar("T")

_END: Final = object()


async def gathered(items: AsyncGenerator[T, None], most: int, *, linger: float = 0.0) -> AsyncGenerator[list[T], None]:
    """Lists of 1 to `most` items: whatever has arrived while the consumer was busy with the list before.

    Under load the lists fill by themselves. At most `most` items are read ahead. What `items` raises is raised after
    the items before it.

    Args:
        items: what to group.
        most: the most items in a list.
        linger: seconds to wait for more before a list that is not full is passed on, unless `items` has ended.
    """
    waiting: asyncio.Queue[T | object] = asyncio.Queue(most)
    reader = asyncio.create_task(_read(items, waiting))
    try:
        ended = False
        while not ended:
            batch = [await waiting.get()]
            with suppress(TimeoutError):
                async with asyncio.timeout(linger):
                    while len(batch) < most and batch[-1] is not _END:
                        batch.append(await waiting.get())
            if ended := batch[-1] is _END:
                batch.pop()
            if batch:
                yield cast("list[T]", batch)  # the end is no longer among them
        await reader
    finally:
        reader.cancel()
        await asyncio.wait({reader})


async def _read(items: AsyncGenerator[T, None], waiting: "asyncio.Queue[T | object]") -> None:
    try:
        async with aclosing(items):  # what the source holds goes with this task, not when the collector comes
            async for item in items:
                await waiting.put(item)
    except asyncio.CancelledError as error:
        if cast("asyncio.Task[None]", asyncio.current_task()).cancelling():
            raise
        await waiting.put(_END)  # it was not this reader that was cancelled, but something that the source awaited
        raise RuntimeError("the source of the items was cancelled") from error
    except BaseException:
        await waiting.put(_END)
        raise
    await waiting.put(_END)
