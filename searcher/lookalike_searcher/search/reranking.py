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

DEPTH: Final = 400
"""So many of the nearest are re-ranked unless a search says how many."""
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


def order(query: np.ndarray, shortlist: np.ndarray) -> np.ndarray:
    """Return the rows of a shortlist in their new order, for vectors of length 1: [d] and [n, d], n at least 1."""
    return np.argsort(-np.array(scores(np.vstack([query, shortlist]))), kind="stable")


def scores(matrix: np.ndarray) -> list[float]:
    """Return the similarity of each hit to the query, in [-1, 1], after all were drawn towards their neighbours.

    All of it is computed from the cosines between the vectors: those are the only large product.

    Args:
        matrix: float32 of shape [1 + n, d], with rows of length 1: the query, then the hits, at least one.
    """
    cosines = _centred(matrix @ matrix.T)
    nearest, weights = _neighbours(cosines, _NEIGHBOURS)
    cosines = _normalised(_sums(_sums(cosines, nearest, weights).T.copy(), nearest, weights))
    nearest, weights = _neighbours(cosines, _NEIGHBOURS_AGAIN)
    among = cosines[nearest[:, :, None], nearest[:, None, :]]
    lengths = np.sqrt(np.einsum("nk,nkl,nl->n", weights, among, weights).clip(_TINY))
    to_query = weights[0] @ cosines[nearest[0]]
    drawn = (weights * to_query[nearest]).sum(axis=1) / (lengths * lengths[0])
    return [float(score) for score in drawn[1:].clip(-1, 1)]


def _neighbours(cosines: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of each vector and of what is nearest to it, and what each weighs."""
    count = min(1 + count, len(cosines))
    nearest = np.argpartition(cosines, -count, axis=1)[:, -count:]
    return nearest, _weights(np.take_along_axis(cosines, nearest, axis=1))


def _sums(rows: np.ndarray, nearest: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted sum of the rows that are nearest, for each."""
    sums = np.zeros_like(rows)
    for place, weight in zip(nearest.T, weights.T, strict=True):
        sums += weight[:, None] * rows[place]
    return sums


def _centred(products: np.ndarray) -> np.ndarray:
    """Return the cosines of the vectors with these dot products, less the share of the mean of all but the first."""
    to_mean = products[:, 1:].mean(axis=1)
    common = _COMMON * (to_mean - _COMMON / 2 * to_mean[1:].mean())
    return _normalised(products - common[:, None] - common)


def _normalised(products: np.ndarray) -> np.ndarray:
    """Return the cosines of vectors with these dot products."""
    lengths = np.sqrt(products.diagonal().clip(_TINY))
    cosines: np.ndarray = products / lengths[:, None] / lengths
    return cosines


def _weights(cosines: np.ndarray) -> np.ndarray:
    """Return what each neighbour weighs, from 0 for the least similar of a row to 1 for what is equal to the vector."""
    least = cosines.min(axis=1, keepdims=True).clip(0)
    weights: np.ndarray = ((cosines - least) / (1 - least).clip(_TINY)).clip(0)
    weights[least[:, 0] > 1 - _TINY] = 1
    return weights
