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
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.projects.space import Space
from lookalike_searcher.search.hit import OWN_FILE, Hit
from lookalike_searcher.search.query import Resolved

DEPTH: Final = 400
"""So many of the nearest are re-ranked unless a search says how many."""
_COMMON: Final = 0.7
"""So much of the shortlist's mean is subtracted from each vector."""
_NEIGHBOURS: Final = 8
"""Each vector is drawn towards fewer neighbours than this: this one is where weights begin."""
_TINY: Final = 1e-6
"""Rounding may leave so much of nothing."""


async def vectors_of(
    connection: Connection, project_id: int, space: Space, query: Resolved, shortlist: Sequence[Hit]
) -> np.ndarray:
    """Return the vectors of the query and of each hit of the shortlist, float32 of shape [1 + n, dimensions]."""
    image_ids = [hit.image_id for hit in shortlist]
    rows = await connection.fetch(statement("vector_of_images", project_id, space.id), image_ids)
    stored = {row["image_id"]: row["vector"] for row in rows}
    return halfvec.decode([query.vector, *(stored[image_id] for image_id in image_ids)], space.dimensions)


def reranked(shortlist: Sequence[Hit], vectors: np.ndarray) -> list[Hit]:
    """Return the hits in their new order, each with its score.

    Hits of equal score stay in the order of similarity. The image of the query's own file stays first.

    Args:
        shortlist: the hits, most similar first.
        vectors: the vectors of the query and of the hits; see `vectors_of`.
    """
    scored = (hit._replace(score=score) for hit, score in zip(shortlist, scores(vectors), strict=True))
    return sorted(scored, key=lambda hit: (hit.rank != OWN_FILE, -hit.score))


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
    count = min(1 + _NEIGHBOURS, len(cosines))
    nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    weights = _weights(np.take_along_axis(cosines, nearest, axis=1))
    among = cosines[nearest[:, :, None], nearest[:, None, :]]
    lengths = np.sqrt(np.einsum("nk,nkl,nl->n", weights, among, weights).clip(_TINY))
    to_query = weights[0] @ cosines[nearest[0]]
    drawn = (weights * to_query[nearest]).sum(axis=1) / (lengths * lengths[0])
    return [float(score) for score in drawn[1:].clip(-1, 1)]


def _centred(products: np.ndarray) -> np.ndarray:
    """Return the cosines of the vectors with these dot products, less the share of the mean of all but the first."""
    to_mean = products[:, 1:].mean(axis=1)
    common = _COMMON * (to_mean - _COMMON / 2 * to_mean[1:].mean())
    centred = products - common[:, None] - common
    lengths = np.sqrt(centred.diagonal().clip(_TINY))
    cosines: np.ndarray = centred / lengths[:, None] / lengths
    return cosines


def _weights(cosines: np.ndarray) -> np.ndarray:
    """Return what each neighbour weighs, from 0 for the least similar of a row to 1 for what is equal to the vector."""
    least = cosines.min(axis=1, keepdims=True).clip(0)
    weights: np.ndarray = ((cosines - least) / (1 - least).clip(_TINY)).clip(0)
    weights[least[:, 0] > 1 - _TINY] = 1
    return weights
