"""Items whose source may block, such as standard input, taken in a thread of their own."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Final

from lookalike.records import Item

_AHEAD: Final = 512


async def in_thread(items: Iterator[Item]) -> AsyncGenerator[Item, None]:
    """Yield the items, some ahead of who takes them. The thread is left to itself if they are not taken to the end."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Item | Exception | None] = asyncio.Queue()
    places, ended = threading.Semaphore(_AHEAD), threading.Event()

    def put(item: Item | Exception | None) -> bool:
        if not ended.is_set():
            loop.call_soon_threadsafe(queue.put_nowait, item)
        return not ended.is_set()

    def take() -> None:
        try:
            for item in items:
                places.acquire()
                if not put(item):
                    return
        except Exception as error:
            put(error)
        else:
            put(None)

    threading.Thread(target=take, daemon=True).start()
    try:
        while (item := await queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            places.release()
            yield item
    finally:
        ended.set()
        places.release()
