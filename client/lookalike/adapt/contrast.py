"""Moving a projection so that what is alike lies nearer together than to all else.

The supervised contrastive loss (Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020) under a penalty on how
far the projection moves, minimised by Adam (Kingma, Ba, ICLR 2015). The constants were chosen on two sets of photos, by
products that were not learned from; see docs/quality.md.
"""

from typing import Final

import numpy as np

_TEMPERATURE: Final = 0.12
"""Of the loss. From .12 to .2 nothing changes; at .07 and below products are learned by heart."""
_PENALTY: Final = 0.05
"""Times the square of the move. From .02 to .1 little changes; without one, most of the gain is lost again."""
_STEPS: Final = 120
_RATE: Final = 0.001
_DECAYS: Final = (0.9, 0.999)
_AT_ONCE: Final = 2048
"""Images of a step, of products drawn by chance: what bounds memory (100 MB) and time (a minute on two cores)."""


class Likeness:
    """Which images are alike.

    Args:
        groups, pairs, apart: as of `learning.learn`.
    """

    def __init__(self, groups: np.ndarray, pairs: np.ndarray, apart: np.ndarray) -> None:
        self._groups, self._pairs, self._apart = groups, pairs, apart
        labelled = np.flatnonzero(groups >= 0)
        labelled = labelled[np.argsort(groups[labelled], kind="stable")]
        starts = np.flatnonzero(np.diff(groups[labelled])) + 1
        self._alike = [rows for rows in np.split(labelled, starts) if len(rows) > 1] + list(pairs)
        self._random = np.random.default_rng(0)

    def drawn(self) -> np.ndarray:
        """The places of images for one step, rising, each with one that is like it: all of them, or as many as fit."""
        rows, count = [], 0
        for number in self._random.permutation(len(self._alike)):
            rows.append(self._alike[number])
            count += len(rows[-1])
            if count >= _AT_ONCE:
                break
        return np.unique(np.concatenate(rows)[:_AT_ONCE]) if rows else np.zeros(0, np.int64)

    def among(self, rows: np.ndarray) -> np.ndarray:
        """Whether each two of some images, given by their rising places, are alike: of shape (n, n)."""
        groups = self._groups[rows]
        alike = (groups[:, np.newaxis] == groups) & (groups >= 0)
        for ends, value in ((self._pairs, True), (self._apart, False)):
            places = np.searchsorted(rows, ends).clip(max=len(rows) - 1)
            one, other = places[(rows[places] == ends).all(axis=1)].T
            alike[one, other] = alike[other, one] = value
        np.fill_diagonal(alike, val=False)
        return np.asarray(alike)


def move(vectors: np.ndarray, likeness: Likeness) -> np.ndarray:
    """What to add to the identity, float32 of shape (d, d), so that `vectors @ (1 + move)` has less of the loss.

    Args:
        vectors: float32 of shape (n, d), of length 1 in the mean.
        likeness: of these images.
    """
    size = vectors.shape[1]
    moved, mean, square = (np.zeros((size, size), np.float32) for _ in range(3))
    for step in range(1, _STEPS + 1):
        rows = likeness.drawn()
        if not len(rows):
            break
        slope = gradient(vectors[rows], likeness.among(rows), moved) + 2 * _PENALTY * moved
        mean += (1 - _DECAYS[0]) * (slope - mean)
        square += (1 - _DECAYS[1]) * (slope**2 - square)
        spread = np.sqrt(square / (1 - _DECAYS[1] ** step)) + 1e-8
        moved -= _RATE * mean / (1 - _DECAYS[0] ** step) / spread
    return moved


def loss(vectors: np.ndarray, alike: np.ndarray, moved: np.ndarray) -> float:
    """The mean, over images with one that is like them, of -log of the softmax of the cosines of those that are."""
    units, _ = _units(vectors, moved)
    shares, counts = _shares(units), alike.sum(axis=1)
    with np.errstate(divide="ignore"):
        logs = np.where(alike, np.log(shares), 0).sum(axis=1)
    return float(-(logs[counts > 0] / counts[counts > 0]).mean())


def gradient(vectors: np.ndarray, alike: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Of the loss, by the move."""
    units, lengths = _units(vectors, moved)
    counts = alike.sum(axis=1, keepdims=True)
    errors = np.where(counts > 0, _shares(units) - alike / counts.clip(1), 0) / max(1, (counts > 0).sum())
    by_units = (errors + errors.T) @ units / _TEMPERATURE
    by_moved = (by_units - (by_units * units).sum(axis=1, keepdims=True) * units) / lengths
    return np.asarray(vectors.T @ by_moved, np.float32)


def _units(vectors: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The moved vectors at length 1, and the lengths that they had."""
    projected = vectors + vectors @ moved
    lengths = np.linalg.norm(projected, axis=1, keepdims=True).clip(1e-12)
    return projected / lengths, lengths


def _shares(units: np.ndarray) -> np.ndarray:
    """Each image's softmax over all others, by cosine."""
    logits = units @ units.T / _TEMPERATURE
    np.fill_diagonal(logits, -np.inf)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
