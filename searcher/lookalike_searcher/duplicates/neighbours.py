"""Define how to ask which images of a space are near one another, for exact and approximate answers."""

from collections.abc import Collection, Iterable
from typing import Final, Protocol

TOLERANCE: Final = 1e-5
"""A near image's cosine may be so much below the least similarity: half precision changes a cosine by about as much."""


class Neighbours(Protocol):
    """The neighbours are pairs of near images: their cosine is at least a given similarity, less TOLERANCE.

    An image that does not exist, is featureless, or has no vector in the space, has no neighbours.
    """

    async def later(self, ids: Iterable[int], skip: Collection[int]) -> dict[int, int]:
        """Return the images that are near an earlier one of `ids`, without those of `skip`, each with its first."""

    async def earlier(self, ids: Iterable[int], up_to: int) -> dict[int, int]:
        """Return for each of `ids` the first image that is near it and before it, if there is one up to `up_to`."""
