"""Say where two pictures lie in one another, in shares of their sides."""

from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike_searcher.copies.alignment import Alignment
from lookalike_searcher.copies.overlay import Mask, Seen
from lookalike_searcher.copies.proof import Corners, Region

_SQUARE: Final = np.array(((0, 0), (1, 0), (1, 1), (0, 1)), np.float64)
_DIGITS: Final = 4


class Frames:
    """These are the frames of the query and the image.

    Args:
        query: the query's small picture, or its mirror image.
        image: the image's.
        found: lays the image over the query, or over its mirror image.
        mirrored: whether it is the mirror image's.
    """

    def __init__(self, query: Seen, image: Seen, found: Alignment, *, mirrored: bool) -> None:
        self._query, self._image = (np.array(seen.whole.shape[::-1], np.float64) for seen in (query, image))
        self._within = query.corners, image.corners
        self._found = found
        self._mirrored = mirrored

    @cached_property
    def corners_in_query(self) -> Corners:
        """Return where the image's corners lie in the query."""
        return _rounded(self._in_query(_SQUARE * self._image))

    @cached_property
    def corners_in_image(self) -> Corners:
        """Return where the query's corners lie in the image."""
        seen = self._as_seen(_SQUARE * self._query)
        return _rounded(self._found.to_other(seen) / self._image)

    def shares(self, *, inverse: bool) -> tuple[float, float]:
        """Return the share of the query that shows the image, and the share of the image that the query shows.

        The query's frame shows nothing of what the image has there. For the `inverse`, the image's frame shows nothing
        of what the query has there, and its share comes first.
        """
        sides = [(_SQUARE * self._query, self._within[0])]
        sides.append((self._found.to_one(_SQUARE * self._image), self._found.to_one(self._within[1])))
        (one, in_one), (other, in_other) = reversed(sides) if inverse else sides
        seen = _common(one, other) - _common(one, in_other) + _common(in_one, in_other)
        return seen / _area(one), seen / _area(other)

    def regions(self, mask: Mask, *, in_query: bool) -> tuple[Region, Region]:
        """Return the rectangles of the query and of the image that hold a region of what both show.

        Args:
            mask: the region, in pixels of the query, or of its mirror image, or of the image.
            in_query: whether it is not of the image.
        """
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        first = np.array((columns[0], rows[0]), np.float64)
        size = np.array((columns[-1] + 1, rows[-1] + 1), np.float64) - first
        corners = first + _SQUARE * size
        if in_query:
            return _around(self._as_seen(corners) / self._query), _around(self._found.to_other(corners) / self._image)
        return _around(self._in_query(corners)), _around(corners / self._image)

    def _in_query(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._as_seen(self._found.to_one(places)) / self._query

    def _as_seen(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return places of the query as places of its mirror image, if that is what was seen; and the other way."""
        return places * (-1, 1) + (self._query[0], 0) if self._mirrored else places


def _around(places: NDArray[np.float64]) -> Region:
    (left, top), (right, bottom) = _rounded(np.clip((places.min(axis=0), places.max(axis=0)), 0, 1))
    return left, top, right, bottom


def _rounded(places: NDArray[np.float64]) -> Corners:
    return tuple((round(float(x), _DIGITS), round(float(y), _DIGITS)) for x, y in places)


def _common(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the area of what two convex shapes have in common."""
    return float(cv2.intersectConvexConvex(one.astype(np.float32), other.astype(np.float32))[0])


def _area(corners: NDArray[np.float64]) -> float:
    return float(cv2.contourArea(corners.astype(np.float32)))
