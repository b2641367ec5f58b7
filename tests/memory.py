"""What memory something takes, measured so that other tests of the same process do not matter."""

import ctypes
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil


def resident() -> int:
    """The bytes that this process holds, after what is free was given back to the system."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
    return psutil.Process().memory_info().rss


@contextmanager
def python_memory() -> Iterator[Callable[[], int]]:
    """Gives a function that says how many bytes Python's own objects took at their most, since this began.

    Unlike the process's resident memory this does not depend on what an allocator kept of earlier tests.
    """
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
