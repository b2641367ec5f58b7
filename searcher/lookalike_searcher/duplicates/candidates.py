"""Collect the pairs that may be duplicates, of which there may be very many, in little memory."""

import threading

import numpy as np

from lookalike_searcher.duplicates.clustering import Clusters
from lookalike_searcher.duplicates.neighbours import Pairs


class Candidates:
    """The candidates are pairs, each once.

    If there are more than `limit`, the least similar ones are left out. Where the cosine alone tells, only those are
    left out that change nothing, as more similar ones connect the same images. It may be used in any thread.

    Args:
        limit: so many pairs are kept, and as many again until they are sorted out.
        by_cosine: whether the cosine alone tells.
    """

    def __init__(self, limit: int, *, by_cosine: bool) -> None:
        self._limit = limit
        self._by_cosine = by_cosine
        self._parts: list[Pairs] = []
        self._size = 0
        self._needless = 0
        self._lock = threading.RLock()
        self.left_out = 0
        """So many were left out, and would have been needed."""

    @property
    def count(self) -> int:
        """Return how many pairs there are, those included that are left out."""
        return self._size + self.left_out + self._needless

    def add(self, pairs: Pairs) -> None:
        """Add pairs, which may be there already."""
        lower, higher = np.minimum(pairs.ones, pairs.others), np.maximum(pairs.ones, pairs.others)
        with self._lock:
            self._parts.append(Pairs(lower, higher, pairs.cosines))
            self._size += len(pairs)
            if self._size > 2 * self._limit:
                self._sort_out()

    def pairs(self) -> Pairs:
        """Return the pairs, each once, with the lower id first, ordered by their ids."""
        with self._lock:
            return self._sort_out()

    def _sort_out(self) -> Pairs:
        found = _each_once(Pairs.joined(self._parts))
        if len(found) > self._limit:
            kept = _spanning(found) if self._by_cosine else found[_most_similar(found, self._limit)]
            if self._by_cosine:
                self._needless += len(found) - len(kept)
            else:
                self.left_out += len(found) - len(kept)
            found = kept
        self._parts, self._size = [found], len(found)
        return found


def _each_once(pairs: Pairs) -> Pairs:
    pairs = pairs[np.lexsort((pairs.others, pairs.ones))]
    new = np.ones(len(pairs), np.bool_)
    new[1:] = (pairs.ones[1:] != pairs.ones[:-1]) | (pairs.others[1:] != pairs.others[:-1])
    return pairs[new]


def _most_similar(pairs: Pairs, limit: int) -> np.ndarray:
    return np.sort(np.argpartition(-pairs.cosines, limit)[:limit])


def _spanning(pairs: Pairs) -> Pairs:
    """Return the pairs of a maximum spanning forest: no others are needed to cluster, or to find nearest fellows."""
    clusters, needed = Clusters(), np.zeros(len(pairs), np.bool_)
    for row in np.argsort(-pairs.cosines, kind="stable").tolist():
        one, other, cosine = int(pairs.ones[row]), int(pairs.others[row]), float(pairs.cosines[row])
        if not clusters.are_settled(one, other, cosine):
            clusters.join(one, other, cosine)
            needed[row] = True
    return pairs[needed]
