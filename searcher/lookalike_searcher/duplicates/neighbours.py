"""Define how to ask which images of a space are near one another, for exact and approximate answers."""

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

TOLERANCE: Final = 1e-5
"""A near image's cosine may be so much below the least similarity: half precision changes a cosine by about as much."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of images are given by their ids, with the cosine of each pair; one element per pair."""

    ones: np.ndarray
    others: np.ndarray
    cosines: np.ndarray

    @classmethod
    def of(cls, pairs: Collection[tuple[int, int, float]]) -> "Pairs":
        """Return the pairs of a collection."""
        ones, others, cosines = zip(*pairs, strict=True) if pairs else ((), (), ())
        return cls(np.array(ones, np.int64), np.array(others, np.int64), np.array(cosines, np.float32))

    @classmethod
    def joined(cls, parts: "Sequence[Pairs]") -> "Pairs":
        """Return the pairs of several parts."""
        columns = zip(*((part.ones, part.others, part.cosines) for part in parts), strict=True)
        return cls(*map(np.concatenate, columns)) if parts else cls.of(())

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.ones)

    def __getitem__(self, rows: "slice | np.ndarray") -> "Pairs":
        """Return some of the pairs."""
        return Pairs(self.ones[rows], self.others[rows], self.cosines[rows])


class Neighbours(Protocol):
    """The neighbours are pairs of near images: their cosine is at least a given similarity, less TOLERANCE.

    An image that does not exist, is featureless, or has no vector in the space, has no neighbours.
    """

    def pairs(self, ids: Sequence[int], *, later_only: bool) -> AsyncGenerator[Pairs, None]:
        """Yield the pairs of each of `ids` with the images that are near it; an approximate answer may repeat pairs.

        Args:
            ids: the images, in order.
            later_only: whether pairs with earlier images are not needed: they are found from those.
        """
