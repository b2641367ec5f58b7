"""Lay a picture over another in perspective, which an affine transform cannot: a print that was photographed, say."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lookalike_searcher.copies import alignment
from lookalike_searcher.copies.alignment import Alignment

_LEAST_INLIERS: Final = 10
"""Ten numbers are fitted, and each match gives two."""
_TOLERANCES: Final = (5.0, 5.0, 4.0, 4.0, 3.0, 2.5, 2.5)
"""In pixels: first what is near to the affine transform, then ever more of what lies farther out."""
_RIDGE: Final = 1e-4
_MOST_FORESHORTENED: Final = 2.5
"""One edge of a picture may be so much nearer than the other."""
_LEAST_DEPTH: Final = 0.05
"""What lies behind the camera is taken to lie far away."""
_CORNERS: Final = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1)), np.float64)


@dataclass(frozen=True, eq=False)
class PerspectiveAlignment(Alignment):
    """An alignment in perspective knows both directions, each fitted by itself.

    Attributes:
        onto_one: takes places of the other picture to places of the one.
        onto_other: takes places of the one to places of the other.
    """

    onto_one: "Perspective"
    onto_other: "Perspective"

    def to_one(self, places: ArrayLike) -> NDArray[np.float64]:
        """Return where these places of the other picture lie in the one."""
        return self.onto_one(np.asarray(places))

    def to_other(self, places: ArrayLike) -> NDArray[np.float64]:
        """Return where these places of the one picture lie in the other."""
        return self.onto_other(np.asarray(places))


@dataclass(frozen=True, eq=False)
class Perspective:
    """A perspective takes places to places: a bilinear form over a linear one.

    So it holds a true perspective, which cameras make, and the bilinear one, which programs make that move corners.

    Attributes:
        centre: the middle of what it was fitted to.
        radius: how far that reaches.
        above: for 1, x, y and x·y, the factors of both numbers.
        below: those of x and y, beside 1.
    """

    centre: NDArray[np.float64]
    radius: float
    above: NDArray[np.float64]
    below: NDArray[np.float64]

    @classmethod
    def fitted(cls, of: NDArray[np.float64], to: NDArray[np.float64]) -> Self:
        """Return the perspective that takes the ones to the others as nearly as can be."""
        centre = of.mean(axis=0)
        radius = float(np.abs(of - centre).max()) or 1.0
        middle = to.mean(axis=0)
        places, goals = (of - centre) / radius, to - middle
        forms = _bilinear(places)
        # as both numbers share what is below, they are solved for together: goal · (1 + below) = above
        nothing = np.zeros_like(forms)
        rows = np.concatenate(
            (
                np.concatenate((forms, nothing, -goals[:, :1] * places), axis=1),
                np.concatenate((nothing, forms, -goals[:, 1:] * places), axis=1),
            )
        )
        ridge = np.diag([0.0, 0, 0, 1, 0, 0, 0, 1, *([radius**2] * 2)]) * (_RIDGE * len(of))
        solved = np.linalg.solve(rows.T @ rows + ridge, rows.T @ goals.T.ravel())
        above = solved[:8].reshape(2, 4).T
        below = solved[8:]
        above[0] += middle
        above[1:3] += below[:, None] * middle
        return cls(centre, radius, above, below)

    def __call__(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where these places lie in the other picture."""
        near = (places - self.centre) / self.radius
        depths = np.maximum(1 + near @ self.below, _LEAST_DEPTH)
        return (_bilinear(near) @ self.above) / depths[:, None]

    @property
    def foreshortened(self) -> float:
        """Return how much nearer one corner is than another; infinity if one lies behind the camera."""
        depths = 1 + _CORNERS @ self.below
        return float(depths.max() / depths.min()) if depths.min() > 0 else np.inf


def in_perspective(found: Alignment) -> PerspectiveAlignment | None:
    """Return the alignment in perspective that grows from an affine one; None if too few places agree on it."""
    to, of = (np.asarray(side, np.float64) for side in found.matches)
    near = alignment.unit(alignment.scale(found.affine))
    laid = found.to_one(of)
    try:
        for tolerance in _TOLERANCES:
            inliers = np.linalg.norm(laid - to, axis=1) <= tolerance * near
            if inliers.sum() < _LEAST_INLIERS:
                return None
            onto_one = Perspective.fitted(of[inliers], to[inliers])
            laid = onto_one(of)
        onto_other = Perspective.fitted(to[inliers], of[inliers])
    except np.linalg.LinAlgError:  # all lie on one line
        return None
    agreeing = alignment.places(to[inliers], of[inliers])
    if agreeing < _LEAST_INLIERS or max(onto_one.foreshortened, onto_other.foreshortened) > _MOST_FORESHORTENED:
        return None
    return PerspectiveAlignment(found.affine, agreeing, found.error, found.matches, onto_one, onto_other)


def _bilinear(places: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = places.T
    return np.stack((np.ones(len(places)), x, y, x * y), axis=1)
