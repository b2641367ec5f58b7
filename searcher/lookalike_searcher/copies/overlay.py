"""Lay a picture over another, and see where they show the same."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike_searcher.copies import alignment
from lookalike_searcher.copies.alignment import Affine, Alignment
from lookalike_searcher.copies.perspective import PerspectiveAlignment
from lookalike_serving.fingerprint.picture import Picture

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
Whole = NDArray[np.uint8]
PlaceOf = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""A function that says where places of one picture lie in another."""

LEAST_AREA: Final = 400
"""A common part of fewer pixels shows too little."""

_FINE: Final = 0.8
"""Detail is what is coarser than the noise of compression, by the standard deviation of a Gaussian, in pixels."""
_WINDOW: Final = (17, 17)
"""Detail is finer than light and shade, which is the mean over so many pixels, and compared over so many."""
BLOCK: Final = 4
"""So many pixels, in both directions, are a block of the picture."""
_NEXT: Final = np.ones((3, 3), np.uint8)
_ALL: Final = 254.5
_MARGIN: Final = np.ones((5, 5), np.uint8)
"""Where a picture ends within the other, its last two pixels are mixed with what lies beyond."""
_NOISE: Final = 9.0
"""The variance of detail, in 255 levels, below which there is none to compare."""
_LEVELS: Final = np.float32(2.55)
"""CIELAB has 100 levels of lightness."""
_BLUR_WHEN_SHRUNK: Final = 0.5
_SUM: Final = np.ones((1, 3), np.float32)
"""NumPy takes 0.3 ms for the sums of three colours, and OpenCV 0.01."""
_PLAIN: Final = 4.0
"""A line of pixels is of one colour if their standard deviation is at most this, in 255 levels: WebP makes some."""
_WIDEST_FRAME: Final = 0.3
"""A frame takes up this share of the picture's side at most, on each side."""
_LEAST_WEIGHT: Final = 1e-3


@dataclass(frozen=True, eq=False)
class Overlay:
    """An overlay holds what is seen where both pictures are, in the frame of the one that shows it smaller.

    Attributes:
        in_one: whether that is the one picture's frame.
        common: where both are.
        likeness: how well their detail agrees around each pixel, in [-1, 1].
        texture: how much detail there is around each pixel in the one that has more, in levels.
        shared: how much there is in both: their geometric mean.
        one: the one's lightness and colours, in CIELAB.
        other: the other's.
    """

    in_one: bool
    common: Mask
    likeness: Plane
    texture: Plane
    shared: Plane
    one: Plane
    other: Plane

    def within(self, part: Mask) -> "Overlay | None":
        """Return what is seen in a part alone, whose surroundings do not count; None if that is too little."""
        common = self.common & part
        if common.sum() < LEAST_AREA:
            return None
        compared = _compared(self.one[..., 0] * _LEVELS, self.other[..., 0] * _LEVELS, common)
        return Overlay(self.in_one, common, *compared, self.one, self.other)


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture is seen with what is known of it alone, which is found once, however often it is laid over others.

    Attributes:
        picture: its pixels.
        whole: 255 where it is, and 0 where lines of one colour frame it: what is behind a frame is not seen.
    """

    picture: Picture
    whole: Whole

    @classmethod
    def of(cls, picture: Picture) -> Self:
        """Return the picture with what is known of it."""
        return cls(picture, _within_frame(picture))

    @cached_property
    def mirrored(self) -> "Seen":
        """Return the mirror image, seen the same way."""
        return Seen(np.ascontiguousarray(self.picture[:, ::-1]), np.ascontiguousarray(self.whole[:, ::-1]))

    @cached_property
    def corners(self) -> NDArray[np.float64]:
        """Return the corners of what is within its frame, from the upper left one clockwise, in pixels."""
        rows, columns = (np.flatnonzero(self.whole.any(axis=axis)) for axis in (1, 0))
        (left, right), (top, bottom) = ((lines[0], lines[-1] + 1) for lines in (columns, rows))
        return np.array(((left, top), (right, top), (right, bottom), (left, bottom)), np.float64)

    @cached_property
    def lab(self) -> Plane:
        """Return its lightness and colours, in CIELAB."""
        return _lab(self.picture)

    @cached_property
    def detail(self) -> Plane:
        """Return how much detail there is in each block of some pixels, in levels; none at the edge of a frame."""
        height, width = self.whole.shape
        blocks = max(1, width // BLOCK), max(1, height // BLOCK)
        light = np.asarray(cv2.cvtColor(self.picture, cv2.COLOR_BGR2GRAY), np.float32)
        mean, square, seen = (
            np.asarray(cv2.resize(plane, blocks, interpolation=cv2.INTER_AREA), np.float32)
            for plane in (light, light * light, self.whole.astype(np.float32))
        )
        deviation = np.sqrt(np.maximum(square - mean * mean, 0))
        within = np.asarray(cv2.erode(seen, _NEXT, borderValue=255)) >= _ALL
        return np.asarray(np.where(within & (deviation >= _PLAIN), deviation, 0), np.float32)


def lay(one: Seen, other: Seen, found: Alignment) -> Overlay | None:
    """Lay the other picture over the one; None if they have too little in common."""
    scale = alignment.scale(found.affine)
    in_one = scale <= 1
    base, above = (one, other) if in_one else (other, one)
    shrunk = _shrunk(above.picture, min(scale, 1 / scale))
    if isinstance(found, PerspectiveAlignment):
        warped, there = _bent(shrunk, above.whole, base.whole.shape, found.to_other if in_one else found.to_one)
    else:
        transform = found.affine if in_one else alignment.inverse(found.affine)
        warped, there = _warped(shrunk, above.whole, base.whole.shape, transform)
    common = _eroded(there) & _eroded(base.whole)
    if common.sum() < LEAST_AREA:
        return None
    below, upon = base.lab, _lab(warped)
    compared = _compared(below[..., 0] * _LEVELS, upon[..., 0] * _LEVELS, common)
    return Overlay(in_one, common, *compared, *((below, upon) if in_one else (upon, below)))


def prepare() -> None:
    """Let OpenCV make its tables of colours: the first conversion takes 0.2 s, the next ones much less than 1 ms."""
    _lab(np.zeros((1, 1, 3), np.uint8))


def _lab(picture: Picture) -> Plane:
    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / np.float32(255), cv2.COLOR_BGR2Lab), np.float32)


def _shrunk(picture: Picture, scale: float) -> Picture:
    """Return the picture without detail that is too fine for this scale."""
    if scale >= 1:
        return picture
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), _BLUR_WHEN_SHRUNK / scale), np.uint8)


def _warped(picture: Picture, whole: Whole, shape: tuple[int, ...], transform: Affine) -> tuple[Picture, Whole]:
    """Return the picture in a frame of this shape, and where it is whole there."""
    by_centres = transform.copy()  # OpenCV counts from the centre of the first pixel, we from its corner
    by_centres[:, 2] += transform[:, :2] @ (0.5, 0.5) - 0.5
    size = shape[::-1]
    warped = cv2.warpAffine(picture, by_centres, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    there = cv2.warpAffine(whole, by_centres, size, flags=cv2.INTER_LINEAR)
    return np.asarray(warped, np.uint8), np.asarray(there, np.uint8)


def _bent(picture: Picture, whole: Whole, shape: tuple[int, ...], place_of: PlaceOf) -> tuple[Picture, Whole]:
    """Return the same in perspective, of which is known where each place of the frame lies in the picture."""
    rows, columns = np.indices(shape)
    centres = np.stack((columns.ravel(), rows.ravel()), axis=1) + 0.5
    x, y = (place_of(centres) - 0.5).astype(np.float32).T.reshape(2, *shape)
    warped = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    there = cv2.remap(whole, x, y, cv2.INTER_LINEAR)
    return np.asarray(warped, np.uint8), np.asarray(there, np.uint8)


def _eroded(whole: Whole) -> Mask:
    return np.asarray(np.asarray(cv2.erode(whole, _MARGIN, borderValue=255)) == 255, np.bool_)


def _within_frame(picture: Picture) -> Whole:
    light = np.asarray(cv2.transform(picture.astype(np.float32), _SUM), np.float32) / picture.shape[2]
    whole = np.full(light.shape, 255, np.uint8)
    for lines, seen in ((light, whole), (light[::-1], whole[::-1]), (light.T, whole.T), (light.T[::-1], whole.T[::-1])):
        seen[: _frame(lines)] = 0
    return whole


def _frame(lines: Plane) -> int:
    """Return how many of the first lines are all of one colour."""
    first = lines[: int(len(lines) * _WIDEST_FRAME)]
    plain = (first.std(axis=1) <= _PLAIN) & (np.abs(first.mean(axis=1) - first[0].mean()) <= _PLAIN)
    return len(first) if plain.all() else int(plain.argmin())


def _compared(one: Plane, other: Plane, common: Mask) -> tuple[Plane, Plane, Plane]:
    """Return the local correlation of both pictures' detail, how much of it there is, and how much in both."""
    mean = _Mean(common)
    here, there = _detail(one, mean), _detail(other, mean)
    of_one, of_other = (np.maximum(mean(detail * detail), 0) for detail in (here, there))  # sums drift below 0
    of_both = mean(here * there)
    likeness = of_both / np.sqrt((of_one + _NOISE) * (of_other + _NOISE))
    texture, shared = np.sqrt(np.maximum(of_one, of_other)), np.sqrt(np.sqrt(of_one * of_other))
    return np.asarray(likeness, np.float32), np.asarray(texture, np.float32), np.asarray(shared, np.float32)


def _detail(plane: Plane, mean: "_Mean") -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), _FINE) - mean(plane), np.float32)


class _Mean:
    """The mean around each pixel is taken over what both pictures have in common."""

    def __init__(self, common: Mask) -> None:
        self._common = common.astype(np.float32)
        self._weight = np.maximum(cv2.blur(self._common, _WINDOW), _LEAST_WEIGHT)

    def __call__(self, plane: Plane) -> Plane:
        return np.asarray(cv2.blur(plane * self._common, _WINDOW) / self._weight, np.float32)
