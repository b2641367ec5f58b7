"""How long single calls take."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

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


async def by_turns(
    parties: Mapping[str, Callable[[int], Awaitable[Any]]], queries: int, *, rounds: int, turn: int, warm_up: int = 5
) -> dict[str, list[float]]:
    """Seconds of each party's calls with the numbers of queries, as many in a turn, one after the other.

    Each party has other queries at a time, as the second one to ask for the same would find it in the processor's
    caches. A turn begins with calls that do not count, as the party before has filled the caches with its own.
    """
    seconds: dict[str, list[float]] = {name: [] for name in parties}
    for number in range(rounds):
        for place, (name, ask) in enumerate(parties.items()):
            first = number * turn + place * queries // len(parties)
            await timed(ask, [(first - n - 1) % queries for n in range(warm_up)])
            seconds[name] += await timed(ask, [(first + n) % queries for n in range(turn)])
    return seconds


def milliseconds(seconds: Sequence[float], quantile: float = 0.5) -> float:
    """A quantile of seconds, in milliseconds."""
    return float(np.quantile(seconds, quantile)) * 1000
