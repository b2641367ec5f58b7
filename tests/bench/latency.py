"""How long single calls take."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


async def timed(send: Callable[[T], Awaitable[object]], what: Sequence[T]) -> list[float]:
    """Seconds of each, one after the other."""
    found = []
    for one in what:
        began = time.perf_counter()
        await send(one)
        found.append(time.perf_counter() - began)
    return found


def milliseconds(seconds: Sequence[float], quantile: float = 0.5) -> float:
    """A quantile of seconds, in milliseconds."""
    return float(np.quantile(seconds, quantile)) * 1000
