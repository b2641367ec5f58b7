"""Learning a projection that brings photos of one product together. Nothing but arrays: no project, no server."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.adapt import contrast
from lookalike.adapt.contrast import Likeness

_SHRINKAGE: Final = 0.7
"""Towards the identity. A shop shows its products a few times each, so what it says of 512 dimensions is noisy."""
_AT_ONCE: Final = 8192
"""Vectors that are taken at a time, so that no second copy of all of them is made."""
_LEAST_SPREAD: Final = 1e-8
"""A mean variance below this is rounding: the images of each product are copies of one another."""


@dataclass(frozen=True)
class Projection:
    """y = matrix (x - centre), at length 1. `matrix` is float32 of shape (512, 512), `centre` of shape (512,)."""

    matrix: np.ndarray
    centre: np.ndarray

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """The vectors, float32 of shape (n, 512), projected. One at the centre has no direction, and stays 0."""
        projected = (vectors - self.centre) @ self.matrix.T
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        return np.asarray(projected / np.where(lengths > 0, lengths, 1), np.float32)


def learn(vectors: np.ndarray, groups: np.ndarray, pairs: np.ndarray, apart: np.ndarray) -> Projection:
    """Learn a projection in two steps: whitening by the scatter within products, then `contrast.move`.

    First the directions in which photos of one product differ (light, angle, background) are made short, those that
    they have in common long: the inverse square root of the covariance within products, shrunk towards a multiple of
    the identity (Mikolajczyk and Matas, Improving descriptors for fast tree matching by optimal linear projection,
    2007). Without anything that is alike, the covariance of all vectors takes its place, and is all there is: PCA
    whitening (Jégou and Chum, Negative evidences and co-occurrences in image retrieval, 2012).

    Args:
        vectors: of length 1, float32 of shape (n, 512), at least one.
        groups: of shape (n,): the number of each image's product; -1 for none.
        pairs: of shape (m, 2): further images that are alike, by their places.
        apart: of shape (k, 2): images that are not alike, by their places. The first step learns nothing from them.

    Returns:
        The same for the same arguments; finite, whatever they are.
    """
    centre = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    labelled = vectors[groups >= 0], groups[groups >= 0]
    scatter, count = _within(*labelled)
    if len(pairs):
        differences = vectors[pairs[:, 0]].astype(np.float64) - vectors[pairs[:, 1]]
        scatter, count = scatter + differences.T @ differences / 2, count + 2 * len(pairs)
    if not count:
        scatter, count = _scatter(vectors, np.zeros(len(vectors), np.int64), centre[np.newaxis]), len(vectors)
    whitening = _whitening(scatter / count)
    whitened = (vectors - centre) @ whitening
    whitened /= max(float(np.linalg.norm(whitened, axis=1).mean()), 1e-12)
    moved = contrast.move(whitened, Likeness(groups, pairs, apart))
    return Projection(((np.eye(len(moved), dtype=np.float32) + moved).T @ whitening).astype(np.float32), centre)


def _within(vectors: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, int]:
    """The scatter of images around the means of their products, and how many images of two or more there are."""
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
    for start in range(0, len(vectors), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        deviations = vectors[part] - means[of_group[part]]
        scatter += deviations.T @ deviations
    return scatter


def _whitening(covariance: np.ndarray) -> np.ndarray:
    """The inverse square root of the covariance, shrunk, at a scale that keeps the mean variance."""
    spread = np.trace(covariance) / len(covariance)
    if spread < _LEAST_SPREAD:
        return np.eye(len(covariance), dtype=np.float32)
    shrunk = (1 - _SHRINKAGE) * covariance / spread + _SHRINKAGE * np.eye(len(covariance))
    values, axes = np.linalg.eigh(shrunk)
    return np.asarray((axes / np.sqrt(values)) @ axes.T, np.float32)
