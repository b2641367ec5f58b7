"""How deep an index must be walked for a recall: the least depth that is enough, found by bisection."""

import math
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

LEAST, MOST = 10, 1_000
"""Depths that are tried. pgvector takes no more, and ten hits need ten."""
_NEAR: Final = 1.05
"""The depth is found within 5 %."""


class Depth(NamedTuple):
    """A depth, and the recall that it brings."""

    depth: int
    recall: float


async def least_for(target: float, recall_at: Callable[[int], Awaitable[float]]) -> Depth:
    """The least depth with at least that recall; the greatest there is, if none has it."""
    low, found = LEAST, Depth(MOST, await recall_at(MOST))
    while found.recall >= target and found.depth > low * _NEAR:
        middle = max(low, min(found.depth - 1, round(math.sqrt(low * found.depth))))
        recall = await recall_at(middle)
        if recall >= target:
            found = Depth(middle, recall)
        else:
            low = middle + 1
    return found
