"""Groups what arrives one by one into batches, without a timer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, TypeVar, cast

T = TypeVar("T")

_END: Final = object()


async def gathered(items: AsyncIterator[T], most: int) -> AsyncIterator[list[T]]:
    """Lists of 1 to `most` items: whatever has arrived while the consumer was busy with the list before.

    A single item is passed on at once; under load the lists fill by themselves. At most `most` items are read ahead.
    What `items` raises is raised after the items before it.
    """
    waiting: asyncio.Queue[T | object] = asyncio.Queue(most)
    reader = asyncio.create_task(_read(items, waiting))
    try:
        ended = False
        while not ended:
            batch = [await waiting.get()]
            while len(batch) < most and not waiting.empty():
                batch.append(waiting.get_nowait())
            if ended := batch[-1] is _END:
                batch.pop()
            if batch:
                yield cast("list[T]", batch)  # the end is no longer among them
        await reader
    finally:
        reader.cancel()


async def _read(items: AsyncIterator[T], waiting: "asyncio.Queue[T | object]") -> None:
    try:
        async for item in items:
            await waiting.put(item)
    except Exception:
        await waiting.put(_END)
        raise
    await waiting.put(_END)
