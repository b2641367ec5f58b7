"""What is learned from: vectors and the products that they show, as arrays."""

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.records import ImageVector

MOST_IMAGES: Final = 100_000
"""Of a larger project a share of its products is read: more images tell a matrix of 512 by 512 little more."""
_AT_ONCE: Final = 4096
"""Vectors that are gathered before they become rows of an array."""
_HALVES: Final = np.dtype("<f2")
_DIMENSIONS: Final = 512


@dataclass(frozen=True)
class Sample:
    """Vectors, float32 of shape (n, 512), and of shape (n,) the numbers of their products; -1 where it has no label.

    A label is the only product that an image shows, if another image shows it too. Of an image of several products,
    such as a table of sizes or a brand's mark, nobody knows which one it is like: it has none.
    """

    vectors: np.ndarray
    groups: np.ndarray

    @property
    def products(self) -> int:
        """How many have two or more images."""
        return len(np.unique(self.groups[self.groups >= 0]))


async def gathered(vectors: AsyncIterable[ImageVector]) -> Sample:
    """All of them. Memory: 2 KB for each, and as much again while they are joined."""
    parts: list[np.ndarray] = []
    values: list[bytes] = []
    labels: list[str] = []
    async for one in vectors:
        labels.append(one.products[0] if len(one.products) == 1 else "")
        values.append(one.values)
        if len(values) == _AT_ONCE:
            parts.append(_array(values))
            values = []
    parts.append(_array(values))
    return Sample(np.concatenate(parts), _numbered(labels))


def _array(values: Sequence[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(values), _HALVES).astype(np.float32).reshape(-1, _DIMENSIONS)


def _numbered(labels: Sequence[str]) -> np.ndarray:
    if not labels:
        return np.zeros(0, np.int64)
    names, groups, sizes = np.unique(np.array(labels, object).astype(str), return_inverse=True, return_counts=True)
    usable = (sizes > 1) & (names != "")
    return np.asarray(np.where(usable[groups], groups, -1), np.int64)
