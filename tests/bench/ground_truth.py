"""What searches should have found: brute force over vectors in the precision in which they are stored."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lookalike.v1 import searcher_pb2 as wire
from tests.bench.dataset import sha256_of
from tests.bench.synthetic_vectors import Vectors, normalised

_LIMITS: Final = (10, 100, 1_000)
_ROUNDING: Final = 1e-6
"""Vectors so much farther than the last of the nearest are as near."""
_PART: Final = 20


class Truth:
    """Knows how near an image must be to be among the nearest to a query.

    Args:
        vectors: of the images.
        queries: what is searched for.
    """

    def __init__(self, vectors: Vectors, queries: Vectors) -> None:
        self._vectors, self._queries = stored(vectors), stored(queries)
        self._rows = {sha256_of(row): row for row in range(len(vectors))}
        self._least: dict[int, Vectors] = {}
        parts = [self._nearest(part) for part in np.array_split(self._queries, max(1, len(queries) // _PART))]
        for number, limit in enumerate(_LIMITS):
            self._least[limit] = np.concatenate([part[number] for part in parts])

    def _nearest(self, queries: Vectors) -> list[Vectors]:
        """The similarity of the last of the nearest, for each limit and query."""
        ranked = -np.sort(np.partition(-(queries @ self._vectors.T), _LIMITS[-1] - 1, axis=1)[:, : _LIMITS[-1]], axis=1)
        return [ranked[:, limit - 1] for limit in _LIMITS]

    def recall(
        self, query: int, hashes: Sequence[bytes], limit: int, passing: NDArray[np.bool_] | None = None
    ) -> float:
        """The share of the nearest `limit`, or of all that pass the filter if they are fewer, that were found.

        Raises SystemExit for what should never be: a hit that does not pass, one that comes twice, or fewer than exist.
        """
        rows = [self._rows[sha256] for sha256 in hashes]
        exist = min(limit, len(self._vectors) if passing is None else int(passing.sum()))
        if len(rows) != exist or len(set(rows)) != exist or not (passing is None or passing[rows].all()):
            raise SystemExit(f"query {query}: {len(rows)} hits, {len(set(rows))} different; {exist} exist that pass")
        if not rows:
            return 1.0
        least = self._least[limit][query] if passing is None else self._filtered(query, passing, exist)
        return float(np.mean(self._vectors[rows] @ self._queries[query] >= least - _ROUNDING))

    def share(self, query: int, hashes: Iterable[bytes], limit: int = 10) -> float:
        """The share of the nearest `limit` that others found, who may find too few."""
        rows = list({self._rows[sha256] for sha256 in hashes})
        near = self._vectors[rows] @ self._queries[query] >= self._least[limit][query] - _ROUNDING
        return int(near.sum()) / limit

    def _filtered(self, query: int, passing: NDArray[np.bool_], count: int) -> float:
        similarities = self._vectors[passing] @ self._queries[query]
        return float(np.partition(similarities, -count)[-count])

    def mean_recall(
        self, answers: Sequence[wire.SearchResponse], limit: int, passing: NDArray[np.bool_] | None = None
    ) -> float:
        """The mean over answers to the first queries."""
        shares = [
            self.recall(number, [hit.sha256 for hit in answer.hits], limit, passing)
            for number, answer in enumerate(answers)
        ]
        return float(np.mean(shares))


def stored(vectors: Vectors) -> Vectors:
    """The vectors as they are stored and compared: rounded to half precision, at length 1."""
    return normalised(vectors.astype(np.float16).astype(np.float32))
