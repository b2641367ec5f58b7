"""Which vectors are near one another, compared in memory: exactly, but most of them by a fifth of their numbers.

The cosine of two vectors of length 1 is the product of their first numbers, plus that of their others, which is at most
the product of the others' lengths (Cauchy and Schwarz). A vector's sketch is its first numbers and the length of the
others, after a rotation that puts first what tells images apart. The product of two sketches is never below the cosine,
and rules out nearly all pairs; what it leaves is compared in full.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike_searcher.database import halfvec

_FIRST: Final = 95
"""With the length of the others, a sketch has 96 numbers. Of photos of clothing and groceries, with vgg16-rmac512, they
leave 0.04 % of the pairs at a least cosine of .95; 64 numbers leave twice as many. All in all that is six times as
quick as full comparison."""
_WORTH_ROTATING: Final = 1000
"""Vectors from which on a rotation is made, which takes a quarter of a second."""
_SLACK: Final = 1e-5
"""What rounding may take from a product."""
_TILE: Final = 1024
"""Candidates that are compared at a time. With some thousand seekers the products take 16 MB."""
_DENSE: Final = 0.01
"""From this share of pairs that sketches leave, a tile is compared in full: that is quicker than picking them."""
_PICKED: Final = 2048
"""Pairs that are picked at a time."""


@dataclass(frozen=True)
class Vectors:
    """Some images in order of their ids, with vectors of length 1 and their sketches: one row for each."""

    ids: np.ndarray
    full: np.ndarray
    sketches: np.ndarray

    def __len__(self) -> int:
        """How many."""
        return len(self.ids)

    def __getitem__(self, rows: "slice | np.ndarray") -> "Vectors":
        """Some of them, in the same order."""
        return Vectors(self.ids[rows], self.full[rows], self.sketches[rows])


class Rotation:
    """Makes sketches, which can be compared with those of the same rotation.

    Args:
        sample: vectors of length 1. The more they are like all others, the more sketches tell. A few are not worth it.
    """

    def __init__(self, sample: np.ndarray) -> None:
        axes = np.eye(halfvec.DIMENSIONS, dtype=np.float32)
        if len(sample) >= _WORTH_ROTATING:
            _, axes = np.linalg.eigh(sample.T @ sample)  # in order of what they tell, least first
        self._axes = np.ascontiguousarray(axes[:, ::-1][:, :_FIRST])

    def vectors(self, ids: Sequence[int], vectors: np.ndarray) -> Vectors:
        """These images; their vectors have length 1."""
        first = vectors @ self._axes
        others = 1 - np.einsum("ij,ij->i", first, first)
        lengths = np.sqrt(np.maximum(others, 0) + _SLACK)  # rather too long than too short
        return Vectors(np.asarray(ids, np.int64), vectors, np.column_stack((first, lengths)))


def decoded(halfvecs: Sequence[bytes]) -> np.ndarray:
    """The vectors, float32, at length 1 in spite of their rounding to half precision."""
    matrix = halfvec.decode(halfvecs)
    lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    matrix /= np.maximum(lengths, np.finfo(np.float32).tiny)[:, np.newaxis]
    return matrix


def earliest_near(seekers: Vectors, candidates: Vectors, least: float) -> dict[int, int]:
    """The first candidate, before the seeker itself, whose cosine to the seeker is at least `least`.

    Returns:
        The candidates' ids by the seekers', of those seekers that have one.
    """
    found: dict[int, int] = {}
    for start in range(0, len(candidates), _TILE):
        tile = candidates[start : start + _TILE]
        seekers = seekers[np.searchsorted(seekers.ids, tile.ids[0], side="right") :]
        if not len(seekers):
            break
        rows, columns = _earliest_of_tile(seekers, tile, least)
        if len(rows):
            found.update(zip(seekers.ids[rows].tolist(), tile.ids[columns].tolist(), strict=True))
            seekers = without(seekers, rows)
    return found


def joined(parts: Sequence[Vectors]) -> Vectors:
    """All of several, at least one, which follow one another."""
    return Vectors(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.full for part in parts]),
        np.concatenate([part.sketches for part in parts]),
    )


def without(vectors: Vectors, rows: np.ndarray) -> Vectors:
    """All but these."""
    kept = np.ones(len(vectors), bool)
    kept[rows] = False
    return vectors[kept]


def _earliest_of_tile(seekers: Vectors, tile: Vectors, least: float) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the seekers that have a near candidate in the tile, and the rows of the first of these."""
    possible = seekers.sketches @ tile.sketches.T >= least - _SLACK
    if tile.ids[-1] >= seekers.ids[0]:
        possible &= tile.ids < seekers.ids[:, np.newaxis]
    if np.count_nonzero(possible) > _DENSE * possible.size:
        possible &= seekers.full @ tile.full.T >= least
        rows = np.flatnonzero(possible.any(axis=1))
        return rows, possible[rows].argmax(axis=1)
    rows, columns = np.divmod(np.flatnonzero(possible), len(tile))  # row by row
    near = _cosines(seekers.full, tile.full, rows, columns) >= least
    rows, first = np.unique(rows[near], return_index=True)
    return rows, columns[near][first]


def _cosines(left: np.ndarray, right: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The cosines of picked pairs."""
    cosines = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _PICKED):
        part = slice(start, start + _PICKED)
        np.einsum("ij,ij->i", left[rows[part]], right[columns[part]], out=cosines[part])
    return cosines
