"""The right batch size: the smallest one that is nearly as fast as any."""

import time
from collections.abc import Callable
from typing import Final

LARGEST: Final = 256
TOLERANCE: Final = 0.05
"""How much slower than the best a smaller batch may be: it answers sooner and needs less memory."""
_LEAST_SECONDS: Final = 0.2
_LEAST_RUNS: Final = 2


def find(pace: Callable[[int], float], largest: int = LARGEST) -> tuple[int, dict[int, float]]:
    """The smallest power of two within TOLERANCE of the best pace, and the paces that were measured.

    A larger size is tried only while doubling still brings something: pace over size rises steadily and then is flat.

    Args:
        pace: measures images per second in batches of a size; raises MemoryError where that does not fit.
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
    return min(size for size, found in paces.items() if found >= best * (1 - TOLERANCE)), paces


def measure(run: Callable[[], object], images: int) -> float:
    """Images per second of `run`, which computes so many: the best of some runs, after one that does not count."""
    run()
    best, spent, runs = float("inf"), 0.0, 0
    while spent < _LEAST_SECONDS or runs < _LEAST_RUNS:
        started = time.perf_counter()
        run()
        seconds = time.perf_counter() - started
        best, spent, runs = min(best, seconds), spent + seconds, runs + 1
    return images / best
