"""What searches should have found: brute force over vectors in the precision in which they are stored."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lookalike.v1 import searcher_pb2 as wire
from tests.bench.stock import sha256_of
from tests.bench.synthesis import Vectors, normalised

_ROUNDING: Final = 1e-6
"""Vectors so much farther than the last of the nearest are as near."""


class Truth:
    """Knows the similarity of every image to every query.

    Args:
        vectors: of the images.
    """

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = stored(vectors)
        self._rows = {sha256_of(row): row for row in range(len(vectors))}

    def recall(
        self, query: Vectors, answer: wire.SearchResponse, limit: int, passing: NDArray[np.bool_] | None = None
    ) -> float:
        """The share of the nearest `limit`, or of all that pass the filter if they are fewer, that were found.

        Raises SystemExit for what should never be: a hit that does not pass, one that comes twice, or fewer than exist.
        """
        candidates = np.arange(len(self._vectors)) if passing is None else np.flatnonzero(passing)
        similarities = self._vectors[candidates] @ stored(query[np.newaxis])[0]
        rows = [self._rows[hit.sha256] for hit in answer.hits]
        if len(set(rows)) != (exist := min(limit, len(candidates))) or len(rows) != exist:
            raise SystemExit(f"{len(rows)} hits, {len(set(rows))} different, where {exist} exist")
        if not set(rows) <= set(candidates.tolist()):
            raise SystemExit("a hit does not pass the filter")
        return self._share(similarities, np.searchsorted(candidates, rows))

    @staticmethod
    def _share(similarities: Vectors, found: NDArray[np.intp]) -> float:
        if not len(found):
            return 1.0
        least = np.partition(similarities, -len(found))[-len(found)]
        return float(np.mean(similarities[found] >= least - _ROUNDING))

    def likeness(self, queries: Vectors) -> Sequence[float]:
        """The mean similarity of the queries to their nearest, tenth and hundredth nearest image."""
        best = [np.sort(query @ self._vectors.T)[::-1][[0, 9, 99]] for query in stored(queries)]
        return [float(value) for value in np.mean(best, axis=0)]


def stored(vectors: Vectors) -> Vectors:
    """The vectors as they are stored and compared: rounded to half precision, at length 1."""
    return normalised(vectors.astype(np.float16).astype(np.float32))
