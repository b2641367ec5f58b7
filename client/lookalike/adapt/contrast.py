"""Improve a projection by contrastive learning, so that images that are alike come closer together than others.

The loss is the supervised contrastive loss (Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020) with a
penalty on how far the projection moves. Adam minimises it (Kingma, Ba, ICLR 2015). The constants were chosen on two
sets of photos, by products that were not learned from; see docs/quality.md.
"""

from typing import Final

import numpy as np

_TEMPERATURE: Final = 0.12
"""The temperature of the loss. From .12 to .2 the result is the same; at .07 and below, it overfits the products."""
_PRIOR: Final = 40
"""The squared move counts in the loss like so many images: its factor is this, over the number of images that are alike
to another one. So few images move less. See docs/quality.md for what it gains."""
_LEAST_PENALTY: Final = 0.02
"""The factor is at least so much."""
_STEPS: Final = 120
_RATE: Final = 0.001
_DECAYS: Final = (0.9, 0.999)
_BATCH_SIZE: Final = 2048
"""Images of a step, from products drawn at random. It bounds memory (100 MB) and time (a minute on two cores)."""


class PositivePairs:
    """Know which images are alike, and draw batches of them.

    Args:
        groups: see `learning.learn`.
        pairs: see `learning.learn`.
        apart: see `learning.learn`.
    """

    def __init__(self, groups: np.ndarray, pairs: np.ndarray, apart: np.ndarray) -> None:
        self._groups, self._pairs, self._apart = groups, pairs, apart
        labelled = np.flatnonzero(groups >= 0)
        labelled = labelled[np.argsort(groups[labelled], kind="stable")]
        starts = np.flatnonzero(np.diff(groups[labelled])) + 1
        self._alike = [rows for rows in np.split(labelled, starts) if len(rows) > 1] + list(pairs)
        self._random = np.random.default_rng(0)

    def draw_batch(self) -> np.ndarray:
        """Return the places of images for one step, in rising order; each is alike to at least one other.

        The batch holds all images that are alike to another one, or as many as fit.
        """
        rows, count = [], 0
        for number in self._random.permutation(len(self._alike)):
            rows.append(self._alike[number])
            count += len(rows[-1])
            if count >= _BATCH_SIZE:
                break
        return np.unique(np.concatenate(rows)[:_BATCH_SIZE]) if rows else np.zeros(0, np.int64)

    def count(self) -> int:
        """Return how many images are alike to another one; an image of two pairs counts twice."""
        return sum(map(len, self._alike))

    def positive_mask(self, rows: np.ndarray) -> np.ndarray:
        """Return for each two of n images whether they are alike, of shape (n, n).

        Args:
            rows: the places of the images, in rising order.
        """
        groups = self._groups[rows]
        alike = (groups[:, np.newaxis] == groups) & (groups >= 0)
        for ends, value in ((self._pairs, True), (self._apart, False)):
            places = np.searchsorted(rows, ends).clip(max=len(rows) - 1)
            first, second = places[(rows[places] == ends).all(axis=1)].T
            alike[first, second] = alike[second, first] = value
        np.fill_diagonal(alike, val=False)
        return np.asarray(alike)


def move(vectors: np.ndarray, positives: PositivePairs) -> np.ndarray:
    """Return the matrix to add to the identity, so that the loss of `vectors @ (identity + matrix)` is smaller.

    Args:
        vectors: float32 of shape (n, d), with a mean length of 1.
        positives: the images that are alike, by their places in `vectors`.

    Returns:
        The matrix, float32 of shape (d, d).
    """
    size, penalty = vectors.shape[1], max(_LEAST_PENALTY, _PRIOR / max(1, positives.count()))
    moved, mean, square = (np.zeros((size, size), np.float32) for _ in range(3))
    for step in range(1, _STEPS + 1):
        rows = positives.draw_batch()
        if not len(rows):
            break
        slope = gradient(vectors[rows], positives.positive_mask(rows), moved) + 2 * penalty * moved
        mean += (1 - _DECAYS[0]) * (slope - mean)
        square += (1 - _DECAYS[1]) * (slope**2 - square)
        spread = np.sqrt(square / (1 - _DECAYS[1] ** step)) + 1e-8
        moved -= _RATE * mean / (1 - _DECAYS[0] ** step) / spread
    return moved


def loss(vectors: np.ndarray, alike: np.ndarray, moved: np.ndarray) -> float:
    """Return the loss: the mean over images of -log of the softmax of the cosines to the images that are alike.

    Images without another one that is alike do not count.
    """
    units, _ = _units(vectors, moved)
    softmax, counts = _softmax(units), alike.sum(axis=1)
    with np.errstate(divide="ignore"):
        logs = np.where(alike, np.log(softmax), 0).sum(axis=1)
    return float(-(logs[counts > 0] / counts[counts > 0]).mean())


def gradient(vectors: np.ndarray, alike: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Return the gradient of the loss with respect to `moved`."""
    units, lengths = _units(vectors, moved)
    counts = alike.sum(axis=1, keepdims=True)
    errors = np.where(counts > 0, _softmax(units) - alike / counts.clip(1), 0) / max(1, (counts > 0).sum())
    by_units = (errors + errors.T) @ units / _TEMPERATURE
    by_moved = (by_units - (by_units * units).sum(axis=1, keepdims=True) * units) / lengths
    return np.asarray(vectors.T @ by_moved, np.float32)


def _units(vectors: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the moved vectors, normalised to length 1, and their lengths before that."""
    projected = vectors + vectors @ moved
    lengths = np.linalg.norm(projected, axis=1, keepdims=True).clip(1e-12)
    return projected / lengths, lengths


def _softmax(units: np.ndarray) -> np.ndarray:
    """Return the softmax of each image's cosines over all other images."""
    logits = units @ units.T / _TEMPERATURE
    np.fill_diagonal(logits, -np.inf)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
