"""Which images of a space are near one another: what the search for duplicates asks, whichever way it is answered."""

from collections.abc import Collection, Iterable
from typing import Final, Protocol

TOLERANCE: Final = 1e-5
"""How far below the least similarity a near image's may be: half precision moves a cosine by about as much."""


class Neighbours(Protocol):
    """Says which images are near: those whose cosine is at least a similarity that was set, less TOLERANCE.

    An image that is not there, or has no vector in the space, is near none.
    """

    async def later(self, ids: Iterable[int], skip: Collection[int]) -> dict[int, int]:
        """The images that are near one of `ids` and come after it, but for those of `skip`; with it the first one."""

    async def earlier(self, ids: Iterable[int], up_to: int) -> dict[int, int]:
        """For each of `ids` the first image that is near it and comes before it, if there is one up to `up_to`."""
