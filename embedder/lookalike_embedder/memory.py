"""Keeps what images leave behind for the next ones, and gives it back to the system now and then.

The C library gives large blocks back as soon as they are free, and the system clears each page that it hands out again:
with two bulk workers that was 5,700 pages an image, a twelfth of the time. What it keeps it keeps in arenas of each
thread, as scattered as it was used: 10,000 mixed images left half a gigabyte. So it is told to keep, and to trim.
"""

import asyncio
import ctypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_EVERY_SECONDS: Final = 2.0
# Of mallopt, as <malloc.h> numbers them: as much as the C library's heap for a thread holds, and blocks as large as
# those of the network. Larger ones, of photos that are decoded in full, go back to the system at once.
_M_TRIM_THRESHOLD: Final = (-1, 64 * 1024 * 1024)
_M_MMAP_THRESHOLD: Final = (-3, 16 * 1024 * 1024)


@asynccontextmanager
async def trimmed() -> AsyncIterator[None]:
    """Keep, and trim now and then, within the block; does nothing where the C library cannot."""
    library = ctypes.CDLL(None)  # calls into it let go of the interpreter's lock
    if not hasattr(library, "malloc_trim"):
        yield
        return
    for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
        library.mallopt(*option)
    task = asyncio.create_task(_trim(library))
    try:
        yield
    finally:
        task.cancel()


async def _trim(library: ctypes.CDLL) -> None:
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        await asyncio.to_thread(library.malloc_trim, 0)
