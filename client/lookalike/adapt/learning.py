"""Learn a projection that brings photos of one product together; it works on arrays, without a server."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.adapt import contrast
from lookalike.adapt.contrast import PositivePairs

_SHRINKAGE: Final = 0.85
"""How far the covariance is shrunk towards the identity. A shop has few photos of each product, so it is noisy."""
_TAKEN_OUT: Final = 0.5
"""This share of the mean is taken out where nothing is learned from products. With two descriptors, on four sets of
photos, all of it gained about as much, and less in the worst split; see docs/quality.md."""
_BATCH_SIZE: Final = 8192
"""Vectors that are processed at once, so that no second copy of all vectors is made."""
_MIN_SPREAD: Final = 1e-8
"""A mean variance below this is rounding: then the images of each product are copies of one another."""


@dataclass(frozen=True)
class Projection:
    """A projection takes a vector x to matrix · (x - centre), normalised to length 1.

    Attributes:
        matrix: float32 of shape (k, d).
        centre: float32 of shape (d,).
        neighbours: projected vectors of images are drawn towards so many of their nearest; see `augmentation`. Those of
            queries are not.
    """

    matrix: np.ndarray
    centre: np.ndarray
    neighbours: int = 0

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Project vectors, float32 of shape (n, d). A vector at the centre has no direction and becomes 0."""
        projected = (vectors - self.centre) @ self.matrix.T
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        return np.asarray(projected / np.where(lengths > 0, lengths, 1), np.float32)


def mean_taken_out(vectors: np.ndarray) -> Projection:
    """Return the projection that only takes out half of the mean of the vectors, float32 of shape (n, d)."""
    return Projection(np.eye(vectors.shape[1], dtype=np.float32), _TAKEN_OUT * _mean(vectors))


def narrowed(projection: Projection, vectors: np.ndarray, dimensions: int) -> Projection:
    """Return the projection followed by that to so many dimensions that keeps most of these vectors (PCA)."""
    projected = projection.apply(vectors).astype(np.float64)
    _, axes = np.linalg.eigh(projected.T @ projected)
    return Projection((axes[:, -dimensions:].T @ projection.matrix).astype(np.float32), projection.centre)


def learn(vectors: np.ndarray, groups: np.ndarray, pairs: np.ndarray, apart: np.ndarray) -> Projection:
    """Learn a projection in two steps: whitening by the scatter within products, then `contrast.move`.

    The first step shortens the directions in which photos of one product differ (light, angle, background) and extends
    the others. It multiplies by the inverse square root of the covariance within products, shrunk towards a multiple of
    the identity (Mikolajczyk and Matas, Improving descriptors for fast tree matching by optimal linear projection,
    2007). If no images are alike, it takes the covariance of all vectors, which is PCA whitening (Jégou and Chum,
    Negative evidences and co-occurrences in image retrieval, 2012), and there is no second step.

    Args:
        vectors: vectors of length 1, float32 of shape (n, d), at least one.
        groups: the number of each image's product, of shape (n,); -1 for an image without a product.
        pairs: the places of further images that are alike, of shape (m, 2).
        apart: the places of images that are not alike, of shape (k, 2). The first step does not use them.

    Returns:
        The projection. It is the same for the same arguments, and its numbers are always finite.
    """
    centre = _mean(vectors)
    labelled = vectors[groups >= 0], groups[groups >= 0]
    scatter, count = _within_products(*labelled)
    if len(pairs):
        differences = vectors[pairs[:, 0]].astype(np.float64) - vectors[pairs[:, 1]]
        scatter, count = scatter + differences.T @ differences / 2, count + 2 * len(pairs)
    if not count:
        scatter, count = _scatter(vectors, np.zeros(len(vectors), np.int64), centre[np.newaxis]), len(vectors)
    whitening = _whitening(scatter / count)
    whitened = (vectors - centre) @ whitening
    whitened /= max(float(np.linalg.norm(whitened, axis=1).mean()), 1e-12)
    moved = contrast.move(whitened, PositivePairs(groups, pairs, apart))
    return Projection(((np.eye(len(moved), dtype=np.float32) + moved).T @ whitening).astype(np.float32), centre)


def _mean(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors.mean(axis=0, dtype=np.float64), np.float32)


def _within_products(vectors: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the scatter of images around the means of their products, and the number of images that it is from.

    Products with a single image do not count.
    """
    _, of_group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    several = sizes[of_group] > 1
    if not several.any():
        return np.zeros((vectors.shape[1], vectors.shape[1])), 0
    means = np.zeros((len(sizes), vectors.shape[1]))
    np.add.at(means, of_group, vectors)
    means = (means / sizes[:, np.newaxis]).astype(np.float32)
    return _scatter(vectors[several], of_group[several], means), int(several.sum())


def _scatter(vectors: np.ndarray, of_group: np.ndarray, means: np.ndarray) -> np.ndarray:
    scatter = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), _BATCH_SIZE):
        part = slice(start, start + _BATCH_SIZE)
        deviations = vectors[part] - means[of_group[part]]
        scatter += deviations.T @ deviations
    return scatter


def _whitening(covariance: np.ndarray) -> np.ndarray:
    """Return the inverse square root of the shrunk covariance, scaled so that the mean variance stays the same."""
    spread = np.trace(covariance) / len(covariance)
    if spread < _MIN_SPREAD:
        return np.eye(len(covariance), dtype=np.float32)
    shrunk = (1 - _SHRINKAGE) * covariance / spread + _SHRINKAGE * np.eye(len(covariance))
    values, axes = np.linalg.eigh(shrunk)
    return np.asarray((axes / np.sqrt(values)) @ axes.T, np.float32)
