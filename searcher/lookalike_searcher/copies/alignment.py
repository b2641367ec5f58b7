"""Find the affine transform that lays a picture over another, from the matches of their keypoints."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lookalike_searcher.copies.matching import Matches

Affine = NDArray[np.float64]
"""Two rows of three numbers: with x, y and 1 of a place in the other picture they give x and y in the one."""

LEAST_INLIERS: Final = 4
"""Fewer matches agree by chance. They must lie in as many different places of both pictures.

Of a photo that is pasted at a third of another picture's sides, no more are found. The overlay must convince then."""

_PAIRED: Final = 28
"""Of so many matches each pair is tried; more would cost more, and find the same."""
_LEAST_BASE: Final = 8.0
"""Two matches that are nearer to one another, in pixels, tell nothing about the rest."""
_FIRST_TOLERANCE: Final = 6.0
"""So many pixels, as a picture may be squeezed: a similarity fits it only nearly."""
_TOLERANCES: Final = (5.0, 4.0, 3.0, 2.5, 2.5)
"""In pixels, as the affine transform comes to fit."""
_MOST_STRETCH: Final = 2.0
_SCALES: Final = (0.15, 7.0)
_UPRIGHT: Final = 0.005
"""So far, as a share of its side, a side of an upright picture may be off: 0.3 degrees. Alignments are as exact."""
_ERRORS: Final = 2.0
"""So many standard errors a turn may be off, where few places tell it."""
_CELL: Final = 3.0
"""Keypoints within a square of so many pixels count as one place."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """An alignment lays the other picture over the one.

    Attributes:
        affine: takes places of the other picture to places of the one.
        inliers: how many places agree on it.
        error: the standard error of its turn, in radians.
        matches: those that it was found from.
    """

    affine: Affine
    inliers: int
    error: float
    matches: Matches

    def to_one(self, places: ArrayLike) -> NDArray[np.float64]:
        """Return where these places of the other picture lie in the one."""
        return apply(self.affine, places)

    def to_other(self, places: ArrayLike) -> NDArray[np.float64]:
        """Return where these places of the one picture lie in the other."""
        return apply(inverse(self.affine), places)


def align(matches: Matches) -> Alignment | None:
    """Return the alignment that most matches agree on; None if too few agree, or it is not what people do to photos."""
    to, of = (np.asarray(side, np.float64) for side in matches)
    inliers = _of_best_pair(to, of) if len(to) >= LEAST_INLIERS else np.zeros(len(to), np.bool_)
    for tolerance in _TOLERANCES:
        if inliers.sum() < LEAST_INLIERS:
            return None
        affine = _fitted(to[inliers], of[inliers])
        if not _is_plausible(affine):
            return None
        inliers = np.linalg.norm(apply(affine, of) - to, axis=1) <= tolerance * unit(scale(affine))
    agreeing = places(to[inliers], of[inliers])
    if agreeing < LEAST_INLIERS:
        return None
    return Alignment(affine, agreeing, _error(affine, to[inliers], of[inliers]), matches)


def apply(affine: Affine, places: ArrayLike) -> NDArray[np.float64]:
    """Return where these places of the other picture lie in the one."""
    return np.asarray(places) @ affine[:, :2].T + affine[:, 2]


def inverse(affine: Affine) -> Affine:
    """Return the transform that lays the one picture over the other."""
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack((linear, -linear @ affine[:, 2]))


def scale(affine: Affine) -> float:
    """Return how much larger the other picture is in the one."""
    return math.sqrt(abs(_area(affine)))


def turn(affine: Affine) -> float:
    """Return how far the other picture is turned in the one, clockwise, in degrees from -180 to 180."""
    (a, b, _), (c, d, _) = affine.tolist()
    return math.degrees(math.atan2(c - b, a + d))


def stretch(affine: Affine) -> float:
    """Return how much longer the other picture has become in one direction than in the other: 1 or more."""
    (a, b, _), (c, d, _) = affine.tolist()
    turned, mirrored = math.hypot(a + d, c - b), math.hypot(a - d, b + c)  # half their sum and difference: the lengths
    return (turned + mirrored) / max(abs(turned - mirrored), 1e-9)


def is_upright(found: Alignment) -> bool:
    """Return whether the other picture is but cut, scaled and turned by quarters, as programs do it, and no hand."""
    (a, b, _), (c, d, _) = np.abs(found.affine).tolist()
    off = min(max(b, c), max(a, d)) / scale(found.affine)
    return bool(off <= max(_UPRIGHT, _ERRORS * found.error))


def unit(scaled: float) -> float:
    """Return by how much tolerances are smaller for this scale."""
    return min(max(scaled, 0.5), 1.0)


def places(to: NDArray[np.float64], of: NDArray[np.float64]) -> int:
    """Return how many different places these matches are in, in the picture where they are in fewer."""
    return min(len(np.unique(side // _CELL, axis=0)) for side in (to, of))


def _of_best_pair(to: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the matches that agree with the best pair: two matches give a turn, a scale and a shift.

    In place of x and y there are complex numbers, which turn and scale as they are multiplied.
    """
    here, there = _complex(to), _complex(of)
    first, second = _pairs(len(to))
    base, laid = there[second] - there[first], here[second] - here[first]
    long = np.minimum(np.abs(base), np.abs(laid)) >= _LEAST_BASE
    first, factors = first[long], laid[long] / base[long]
    if not len(first):
        return np.zeros(len(to), np.bool_)
    shifts = here[first] - factors * there[first]
    away = factors[:, None] * there
    away += shifts[:, None]
    away -= here
    allowed = _FIRST_TOLERANCE * np.clip(np.abs(factors), 0.5, 1)
    close = np.abs(away) <= allowed[:, None]
    best: NDArray[np.bool_] = close[close.sum(axis=1, dtype=np.uint16).argmax()]
    return best


def _complex(places: NDArray[np.float64]) -> NDArray[np.complex64]:
    return places.astype(np.float32).view(np.complex64)[:, 0]


@cache
def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return each pair of so many matches, or of some of them."""
    some = np.linspace(0, count - 1, min(count, _PAIRED)).astype(np.intp)
    first, second = np.triu_indices(len(some), 1)
    return some[first], some[second]


def _fitted(to: NDArray[np.float64], of: NDArray[np.float64]) -> Affine:
    known = np.column_stack((of, np.ones(len(of))))
    try:
        return np.asarray(np.linalg.solve(known.T @ known, known.T @ to).T)
    except np.linalg.LinAlgError:  # all lie on one line
        return np.zeros((2, 3))


def _error(affine: Affine, to: NDArray[np.float64], of: NDArray[np.float64]) -> float:
    """Return the standard error of the turn: places that lie off, or close together, tell it badly."""
    off = apply(affine, of) - to
    freedom = max(1, off.size - affine.size)
    narrow = max(float(np.linalg.eigvalsh(np.cov(of.T))[0]), 1.0)
    return math.sqrt(float((off * off).sum()) / freedom / (len(of) * narrow)) / scale(affine)


def _is_plausible(affine: Affine) -> bool:
    least, most = _SCALES
    mirrors = _area(affine) <= 0  # a mirror image's keypoints are tried apart
    return not mirrors and stretch(affine) <= _MOST_STRETCH and least <= scale(affine) <= most


def _area(affine: Affine) -> float:
    """Return how large a pixel of the other picture is in the one; negative if it is mirrored."""
    (a, b, _), (c, d, _) = affine.tolist()
    return float(a * d - b * c)
