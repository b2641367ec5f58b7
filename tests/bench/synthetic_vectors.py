"""New vectors that resemble real descriptors, as many as are wanted: a model is fitted to real ones and drawn from."""

from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_NEIGHBOURS: Final = 10
_MIXED: Final = 3
_HALVINGS: Final = 7
_PART: Final = 10_000
_PAIRS: Final = 20_000


class Likeness(NamedTuple):
    """How alike the vectors of a set are: mean cosine to the nearest, to the tenth nearest, and of random pairs."""

    nearest: float
    tenth: float
    random: float

    def __str__(self) -> str:
        """All three."""
        return f"{self.nearest:.3f} / {self.tenth:.3f} / {self.random:.3f}"


@dataclass(frozen=True)
class Model:
    """What was fitted.

    A new vector lies among a real descriptor and two of its ten nearest neighbours: a convex mixture with weights that
    are uniformly distributed (Dirichlet). That gives the clusters of the real set, and its distances between clusters.
    To it comes Gaussian noise with the covariance that real descriptors have about the mean of their neighbours: it has
    the directions and the spectrum of real differences. Where no real one has negative parts, as R-MAC has none, what
    is negative becomes 0; and the length becomes 1. The noise's scale is the one with which vectors are as alike to
    their nearest neighbours as real ones are to theirs, in sets of equal size.

    Attributes:
        real: the real descriptors, of length 1, a row each.
        neighbours: the rows of the nearest ones to each.
        root: a root of the covariance.
        scale: of the noise.
    """

    real: Vectors
    neighbours: NDArray[np.intp]
    root: Vectors
    scale: float = 1.0

    @classmethod
    def fit(cls, real: Vectors) -> Self:
        """The model of these descriptors."""
        neighbours = np.argsort(-_similarities(real), axis=1)[:, :_NEIGHBOURS]
        values, axes = np.linalg.eigh(np.cov((real - real[neighbours].mean(axis=1)).T))
        root = (np.sqrt(np.maximum(values, 0)) * axes).astype(np.float32)
        low, high, wanted = 0.0, 4.0, likeness(real).nearest
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            found = cls(real, neighbours, root, middle).draw(len(real), np.random.default_rng(0))[0]
            low, high = (middle, high) if likeness(found).nearest > wanted else (low, middle)
        return cls(real, neighbours, root, (low + high) / 2)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Vectors, NDArray[np.intp]]:
        """So many new vectors, and for each the row of the real one that it is near."""
        drawn = np.empty((count, self.real.shape[1]), np.float32)
        near = rng.integers(0, len(self.real), count)
        for start in range(0, count, _PART):
            part = slice(start, start + _PART)
            drawn[part] = self._near(near[part], rng)
        return drawn, near

    def _near(self, rows: NDArray[np.intp], rng: np.random.Generator) -> Vectors:
        others = rng.integers(0, _NEIGHBOURS, (len(rows), _MIXED - 1))
        mixed = np.column_stack([rows, self.neighbours[rows[:, None], others]])
        weights = rng.dirichlet([1.0] * _MIXED, len(rows)).astype(np.float32)
        noise = rng.standard_normal((len(rows), self.real.shape[1]), dtype=np.float32) @ self.root.T
        found = np.einsum("nk,nkd->nd", weights, self.real[mixed]) + np.float32(self.scale) * noise
        return normalised(np.maximum(found, 0) if self.real.min() >= 0 else found)


def normalised(vectors: Vectors) -> Vectors:
    """The same directions at length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def likeness(vectors: Vectors) -> Likeness:
    """How alike they are. Takes the square of their number."""
    ranked = -np.partition(-_similarities(vectors), (0, 9), axis=1)
    pairs = np.random.default_rng(0).integers(0, len(vectors), (2, _PAIRS))
    one, other = pairs[:, pairs[0] != pairs[1]]
    together = np.einsum("nd,nd->n", vectors[one], vectors[other])
    return Likeness(float(ranked[:, 0].mean()), float(ranked[:, 9].mean()), float(together.mean()))


def _similarities(vectors: Vectors) -> Vectors:
    """Of all pairs; of a vector with itself, less than of any other."""
    found = np.asarray(vectors @ vectors.T)
    np.fill_diagonal(found, -2)
    return found
