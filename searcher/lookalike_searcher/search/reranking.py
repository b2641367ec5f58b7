"""Rank the nearest images again, by how they lie to one another.

Each image, and the query, is drawn towards its own nearest among them: database-side augmentation (Arandjelović,
Zisserman: "Three things everyone should know to improve object retrieval", CVPR 2012) and query expansion with weights
(Radenović, Tolias, Chum: "Fine-tuning CNN image retrieval with no human annotation", TPAMI 2018), within the shortlist
alone, as Shao et al. do ("Global features are all you need for image retrieval and reranking", ICCV 2023). So nothing
has to be stored or updated. The mean of the shortlist is subtracted first.

How strongly an image is drawn is chosen for each from how dense it is around it: a neighbour weighs by how far it
exceeds the least of the nearest. So few photos of a thing draw one another, and what lies beyond them does not; in a
class, where all neighbours are alike, all of them count. One depth serves both (see docs/quality.md).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from lookalike_searcher.database import halfvec
from lookalike_searcher.search.hit import OWN_FILE, Near

DEPTH: Final = 200
"""So many of the nearest are re-ranked unless a search says how many. More cost over 5 ms; see docs/quality.md."""
_COMMON: Final = 0.7
"""So much of the shortlist's mean is subtracted from each vector."""
_NEIGHBOURS: Final = 3
"""Each vector is first drawn towards its nearest, of which this one, the least similar, weighs nothing."""
_NEIGHBOURS_AGAIN: Final = 5
"""The same for the second time."""
_TINY: Final = 1e-6
"""Rounding may leave so much of nothing."""


def reranked(query: bytes, shortlist: Sequence[Near]) -> list[tuple[Near, float]]:
    """Return the shortlist in its new order, each with its score.

    Hits of equal score stay in the order of similarity. The image of the query's own file stays first.

    Args:
        query: the query's vector, as it is stored.
        shortlist: what is near, most similar first, at least one.
    """
    dimensions = halfvec.dimensions_of(len(query))
    found = scores(halfvec.decode([query, *(one.vector for one in shortlist)], dimensions))
    return sorted(zip(shortlist, found, strict=True), key=lambda scored: (scored[0].rank != OWN_FILE, -scored[1]))


def scores(matrix: np.ndarray) -> list[float]:
    """Return the similarity of each hit to the query, in [-1, 1], after all were drawn towards their neighbours.

    All of it is computed from the cosines between the vectors, as they are few, and in place.

    Args:
        matrix: float32 of shape [1 + n, d], with rows of length 1: the query, then the hits, at least one.
    """
    cosines, drawn, scratch = np.empty((3, len(matrix), len(matrix)), matrix.dtype)
    _centre(np.matmul(matrix, matrix.T, out=cosines))
    nearest, weights = _neighbours(cosines, _NEIGHBOURS)
    _add_up(cosines, nearest, weights, drawn, scratch)
    cosines[:] = drawn.T
    _add_up(cosines, nearest, weights, drawn, scratch)
    _normalise(drawn)
    nearest, weights = _neighbours(drawn, _NEIGHBOURS_AGAIN)
    among = drawn[nearest[:, :, None], nearest[:, None, :]]
    lengths = np.sqrt(np.einsum("nk,nkl,nl->n", weights, among, weights).clip(_TINY))
    to_query = weights[0] @ drawn[nearest[0]]
    found = (weights * to_query[nearest]).sum(axis=1) / (lengths * lengths[0])
    scores: list[float] = found[1:].clip(-1, 1).tolist()
    return scores


def _centre(products: np.ndarray) -> None:
    """Turn dot products of vectors into their cosines, less the share of the mean of all but the first."""
    to_mean = products[:, 1:].mean(axis=1)
    common = _COMMON * (to_mean - _COMMON / 2 * to_mean[1:].mean())
    products -= common[:, None]
    products -= common
    _normalise(products)


def _normalise(products: np.ndarray) -> None:
    """Turn dot products of vectors into their cosines."""
    inverse_lengths = 1 / np.sqrt(products.diagonal().clip(_TINY))
    products *= inverse_lengths[:, None]
    products *= inverse_lengths


def _neighbours(cosines: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of each vector and of what is nearest to it, and what they weigh, but for the last: nothing."""
    rows = np.arange(len(cosines))
    nearest = np.empty((len(cosines), min(1 + count, len(cosines))), np.intp)
    similar = np.empty(nearest.shape, cosines.dtype)
    for place in range(nearest.shape[1]):  # quicker than a partition of each row
        nearest[:, place] = cosines.argmax(axis=1)
        similar[:, place] = cosines[rows, nearest[:, place]]
        cosines[rows, nearest[:, place]] = -np.inf
    cosines[rows[:, None], nearest] = similar
    return nearest[:, :-1], _weights(similar)[:, :-1]


def _add_up(rows: np.ndarray, nearest: np.ndarray, weights: np.ndarray, sums: np.ndarray, scratch: np.ndarray) -> None:
    """Put into `sums` the weighted sum of the rows that are nearest, for each."""
    sums[:] = 0
    for place, weight in zip(nearest.T, weights.T, strict=True):
        np.take(rows, place, axis=0, out=scratch, mode="clip")
        scratch *= weight[:, None]
        sums += scratch


def _weights(cosines: np.ndarray) -> np.ndarray:
    """Return what neighbours weigh: from 1 for what is equal to the vector to 0 for the last, the least similar."""
    least = cosines[:, -1:].clip(0)
    weights: np.ndarray = ((cosines - least) / (1 - least).clip(_TINY)).clip(0)
    weights[least[:, 0] > 1 - _TINY] = 1
    return weights
