"""Gives memory back to the system that was used for a while.

The C library keeps what is freed in arenas of each thread, as scattered as it was used: after 10,000 mixed images half
a gigabyte was kept, after 300 refused requests of 14 MiB nearly one. So it is told to trim, now and then.
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
"""For who uses large blocks again and again, as those of a network. Else the C library gives them back as soon as they
are free, and the system clears each page that it hands out again: with two bulk workers that was 5,700 pages an image,
a twelfth of the time. Larger blocks, of photos that are decoded in full, go back at once. Threads share an arena, as
the end of another one is not trimmed: sixteen of them kept 64 MiB each. It costs nothing that can be measured (decoding
photos of 50 kB on two threads, 9.3 to 10.7 ms of a core each, and 9.5 to 10.5 ms with an arena for each thread)."""
SMALL_BLOCKS: Final = ((_M_MMAP_THRESHOLD, _MEBIBYTE),)
"""For others: what is larger goes back to the system at once. The C library's own threshold grows with what is used."""


def tune(options: Sequence[tuple[int, int]]) -> ctypes.CDLL | None:
    """Tell the C library, best before there are threads. Returns it, if it can do that.

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
    """Tune, and trim now and then within the block; does nothing where the C library cannot."""
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
