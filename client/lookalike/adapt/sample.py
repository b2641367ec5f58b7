"""What is learned from: vectors and the products that they show, as arrays."""

from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.records import Feedback, ImageVector, Verdict

MOST_IMAGES: Final = 100_000
"""Of a larger project a share of its products is read: more images tell a matrix of 512 by 512 little more."""
_AT_ONCE: Final = 4096
"""Vectors that are gathered before they become rows of an array."""
_HALVES: Final = np.dtype("<f2")
_DIMENSIONS: Final = 512
NO_PAIRS: Final = np.zeros((0, 2), np.int64)
"""Nothing was said."""


@dataclass(frozen=True)
class Sample:
    """Vectors, float32 of shape (n, 512), and of shape (n,) the numbers of their products; -1 where it has no label.

    A label is the only product that an image shows, if another image shows it too. Of an image of several products,
    such as a table of sizes or a brand's mark, nobody knows which one it is like: it has none.

    Attributes:
        vectors: see above.
        groups: see above.
        pairs: of shape (m, 2): the places of a query and of a hit that somebody said to be right.
        apart: of shape (k, 2): likewise, said to be wrong.
    """

    vectors: np.ndarray
    groups: np.ndarray
    pairs: np.ndarray
    apart: np.ndarray

    @property
    def products(self) -> int:
        """How many have two or more images."""
        return len(np.unique(self.groups[self.groups >= 0]))

    def only(self, kept: np.ndarray) -> "Sample":
        """Those images where `kept`, of shape (n,), holds, and what was said of two of them."""
        places = np.cumsum(kept) - 1
        pairs, apart = (places[said[kept[said].all(axis=1)]] for said in (self.pairs, self.apart))
        return Sample(self.vectors[kept], self.groups[kept], pairs, apart)


async def gathered(vectors: AsyncIterable[ImageVector], feedback: AsyncIterable[Feedback], source: str) -> Sample:
    """All of them. Memory: 2 KB for each, and as much again while they are joined.

    Args:
        vectors: of the space `source`.
        feedback: a query that is no image of the project counts where its vector in `source` was given.
        source: the space.
    """
    parts: list[np.ndarray] = []
    values: list[bytes] = []
    labels: list[str] = []
    places: dict[str, int] = {}
    async for one in vectors:
        places[one.sha256] = len(labels)
        labels.append(one.products[0] if len(one.products) == 1 else "")
        values.append(one.values)
        if len(values) == _AT_ONCE:
            parts.append(_array(values))
            values = []
    parts.append(_array(values))
    said = _Said(places, source)
    async for search in feedback:
        said.add(search)
    parts.append(said.queries)
    labels += [""] * len(said.queries)
    return Sample(np.concatenate(parts), _numbered(labels), _pairs(said.right), _pairs(said.wrong))


class _Said:
    """What was said of hits, by the places of query and hit."""

    def __init__(self, places: Mapping[str, int], source: str) -> None:
        self._places, self._source = places, source
        self._queries: list[Sequence[float]] = []
        self.right: list[tuple[int, int]] = []
        self.wrong: list[tuple[int, int]] = []

    @property
    def queries(self) -> np.ndarray:
        """The vectors of those that are no images of the project; their places come after all others'."""
        return np.array(self._queries, np.float32).reshape(-1, _DIMENSIONS)

    def add(self, search: Feedback) -> None:
        """What was said of a search's hits, if its query has a vector."""
        query = self._places.get(search.query_sha256)
        given = search.query_embedding
        if query is None and given and given.space == self._source:
            query = len(self._places) + len(self._queries)
            self._queries.append(given.values)
        if query is None:
            return
        for hit in search.hits:
            place = self._places.get(hit.sha256)
            if hit.verdict and place is not None and place != query:
                (self.right if hit.verdict is Verdict.RIGHT else self.wrong).append((query, place))


def _pairs(places: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.array(places, np.int64).reshape(-1, 2)


def _array(values: Sequence[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(values), _HALVES).astype(np.float32).reshape(-1, _DIMENSIONS)


def _numbered(labels: Sequence[str]) -> np.ndarray:
    if not labels:
        return np.zeros(0, np.int64)
    names, groups, sizes = np.unique(np.array(labels, object).astype(str), return_inverse=True, return_counts=True)
    usable = (sizes > 1) & (names != "")
    return np.asarray(np.where(usable[groups], groups, -1), np.int64)
