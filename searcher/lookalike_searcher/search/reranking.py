"""Rank the nearest images again, by how they lie to one another.

Each image, and the query, is drawn towards its own nearest among them: database-side augmentation (Arandjelović,
Zisserman: "Three things everyone should know to improve object retrieval", CVPR 2012) and query expansion with weights
(Radenović, Tolias, Chum: "Fine-tuning CNN image retrieval with no human annotation", TPAMI 2018), within the shortlist
alone, as Shao et al. do ("Global features are all you need for image retrieval and reranking", ICCV 2023). So nothing
has to be stored or updated. The mean of the shortlist is subtracted first.

The constants were chosen on two sets of photos (see docs/quality.md); neighbours of 3 to 10, powers of 1 to 3 and
shares of .5 to .9 differ by less than a third of the gain.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from lookalike_searcher.database import halfvec
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.projects.space import Space
from lookalike_searcher.search.hit import OWN_FILE, Hit
from lookalike_searcher.search.query import Resolved

_COMMON: Final = 0.7
"""So much of the shortlist's mean is subtracted from each vector."""
_NEIGHBOURS: Final = 4
"""Each vector is drawn towards so many neighbours, itself among them."""
_POWER: Final = 2
"""The weight of a neighbour is this power of its cosine."""


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


def scores(matrix: np.ndarray) -> list[float]:
    """Return the similarity of each hit to the query, in [-1, 1], after all were drawn towards their neighbours.

    Args:
        matrix: float32 of shape [1 + n, d], with rows of length 1: the query, then the hits, at least one.
    """
    centred = _unit(matrix - _COMMON * matrix[1:].mean(axis=0))
    cosines = centred @ centred.T
    neighbours = min(_NEIGHBOURS, len(cosines))
    nearest = np.argpartition(-cosines, neighbours - 1, axis=1)[:, :neighbours]
    weights = np.take_along_axis(cosines, nearest, axis=1).clip(0) ** _POWER
    drawn = _unit(np.einsum("nk,nkd->nd", weights, centred[nearest]))
    return [float(score) for score in (drawn[1:] @ drawn[0]).clip(-1, 1)]


def _unit(rows: np.ndarray) -> np.ndarray:
    """Return each row at length 1; a row of length 0 stays unchanged."""
    unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit
