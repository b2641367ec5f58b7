"""Read items in a separate thread, for sources that may block, such as standard input."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Final

from lookalike.records import Item

_AHEAD: Final = 512


async def in_thread(items: Iterator[Item]) -> AsyncGenerator[Item, None]:
    """Yield the items; the thread reads up to 512 ahead, and is not joined if the caller stops early."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Item | Exception | None] = asyncio.Queue()
    free_slots, ended = threading.Semaphore(_AHEAD), threading.Event()

    def put(item: Item | Exception | None) -> bool:
        if not ended.is_set():
            loop.call_soon_threadsafe(queue.put_nowait, item)
        return not ended.is_set()

    def read() -> None:
        try:
            for item in items:
                free_slots.acquire()
                if not put(item):
                    return
        except Exception as error:
            put(error)
        else:
            put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        while (item := await queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            free_slots.release()
            yield item
    finally:
        ended.set()
        free_slots.release()
