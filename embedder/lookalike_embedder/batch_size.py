"""Find the right batch size: the smallest one that is nearly as fast as any."""

import time
from collections.abc import Callable
from typing import Final

LARGEST: Final = 256
TOLERANCE: Final = 0.05
"""A smaller batch may be slower than the best one by this share: it answers sooner and needs less memory."""
_MIN_SECONDS: Final = 0.2
_MIN_RUNS: Final = 2


def find(pace: Callable[[int], float], largest: int = LARGEST) -> tuple[int, dict[int, float]]:
    """Return the smallest power of two within TOLERANCE of the best pace, and the paces that were measured.

    A larger size is tried only while doubling still helps: the pace rises with the size, and then stays flat.

    Args:
        pace: measures images per second in batches of a size; raises MemoryError if such a batch does not fit.
        largest: the largest size to try.

    Raises:
        MemoryError: not even a single image fits.
    """
    paces: dict[int, float] = {}
    size = 1
    while size <= largest:
        try:
            paces[size] = pace(size)
        except MemoryError:
            if not paces:
                raise
            break
        if size > 1 and paces[size] < paces[size // 2] * (1 + TOLERANCE / 4):
            break
        size *= 2
    best = max(paces.values())
    return min(size for size, images in paces.items() if images >= best * (1 - TOLERANCE)), paces


def measure(run: Callable[[], object], images: int) -> float:
    """Return the images per second of `run`, which computes so many: the best of some runs, after a first one."""
    run()
    best, spent, runs = float("inf"), 0.0, 0
    while spent < _MIN_SECONDS or runs < _MIN_RUNS:
        started = time.perf_counter()
        run()
        seconds = time.perf_counter() - started
        best, spent, runs = min(best, seconds), spent + seconds, runs + 1
    return images / best
