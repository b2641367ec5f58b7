"""Return memory to the system after a peak.

The C library keeps freed memory in arenas of each thread, fragmented as it was used: half a gigabyte after 10,000 mixed
images, nearly one after 300 refused requests of 14 MiB. So it is told to trim its arenas at intervals.
"""

import asyncio
import ctypes
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

_EVERY_SECONDS: Final = 2.0
_M_TRIM_THRESHOLD: Final = -1  # of mallopt, as <malloc.h> numbers them
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_MEBIBYTE: Final = 1024 * 1024

LARGE_BLOCKS: Final = (
    (_M_ARENA_MAX, 1),
    (_M_TRIM_THRESHOLD, 64 * _MEBIBYTE),
    (_M_MMAP_THRESHOLD, 16 * _MEBIBYTE),
)
"""These options are for programs that use large blocks repeatedly, as a network does. Otherwise the C library gives
such blocks back as soon as they are free, and the system clears each page that it hands out again: with two bulk
workers that was 5,700 pages an image, a twelfth of the time. Larger blocks, of photos that are decoded in full, go back
at once. All threads share one arena, since only the end of the first one is trimmed: sixteen threads kept 64 MiB each.
This costs nothing that can be measured: decoding photos of 50 kB on two threads took 9.3 to 10.7 ms of a core each, and
9.5 to 10.5 ms with an arena for each thread."""
SMALL_BLOCKS: Final = ((_M_MMAP_THRESHOLD, _MEBIBYTE),)
"""These options are for other programs.

Blocks above 1 MiB go back at once; the C library's own threshold would grow.
"""


def tune(options: Sequence[tuple[int, int]]) -> ctypes.CDLL | None:
    """Set the options of the C library's allocator, best before threads start. Returns the library if it can trim.

    Args:
        options: LARGE_BLOCKS or SMALL_BLOCKS.
    """
    library = ctypes.CDLL(None)  # calls into it let go of the interpreter's lock
    if not hasattr(library, "malloc_trim"):
        return None
    for option in options:
        library.mallopt(*option)
    return library


@asynccontextmanager
async def trimmed(options: Sequence[tuple[int, int]]) -> AsyncIterator[None]:
    """Tune the allocator, and trim it at intervals within the block. Does nothing if the C library cannot trim."""
    library = tune(options)
    if library is None:
        yield
        return
    task = asyncio.create_task(_trim(library))
    try:
        yield
    finally:
        task.cancel()


async def _trim(library: ctypes.CDLL) -> None:
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        await asyncio.to_thread(library.malloc_trim, 0)
