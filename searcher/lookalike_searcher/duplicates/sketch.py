"""Compare vectors in memory: exactly, but most of them by a fifth of their numbers.

The cosine of two vectors of length 1 is the product of their first numbers, plus that of their other numbers, which is
at most the product of the others' lengths (Cauchy and Schwarz). A vector's sketch is its first numbers and the length
of the others, after a rotation that puts those numbers first that distinguish images. The product of two sketches is
never below the cosine, and rules out nearly all pairs. The remaining pairs are compared in full.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike_searcher.database import halfvec
from lookalike_searcher.duplicates.neighbours import Pairs

_FIRST: Final = 95
"""With the length of the others, a sketch has 96 numbers. Of photos of clothing and groceries, they leave 0.06 % of the
pairs at a least cosine of .95 (0.04 % with R-MAC, where 64 numbers leave twice as many). In all, this is six times as
fast as full comparison."""
_WORTH_ROTATING: Final = 1000
"""With so many vectors or more, a rotation is computed, which takes a quarter of a second."""
_SLACK: Final = 1e-5
"""Rounding may lower a product by so much."""
TILE: Final = 1024
"""So many candidates are compared at a time. With some thousand seekers, the products take 16 MB."""
_DENSE: Final = 0.01
"""If sketches leave this share of pairs or more, a tile is compared in full: that is faster than picking pairs."""
_PICKED: Final = 2048
"""So many pairs are picked at a time."""


@dataclass(frozen=True)
class Vectors:
    """The vectors belong to images in order of their ids. They have length 1, and a sketch each; one row per image."""

    ids: np.ndarray
    full: np.ndarray
    sketches: np.ndarray

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.ids)

    def __getitem__(self, rows: "slice | np.ndarray") -> "Vectors":
        """Return the vectors of some rows, in the same order."""
        return Vectors(self.ids[rows], self.full[rows], self.sketches[rows])


class Rotation:
    """The rotation makes sketches, which can be compared with those of the same rotation only.

    Args:
        sample: vectors of length 1. The better they represent all vectors, the more pairs sketches rule out. A small
            sample is not used.
    """

    def __init__(self, sample: np.ndarray) -> None:
        axes = np.eye(sample.shape[1], dtype=np.float32)
        if len(sample) >= _WORTH_ROTATING:
            _, axes = np.linalg.eigh(sample.T @ sample)  # the axis that distinguishes images most comes last
        self._axes = np.ascontiguousarray(axes[:, ::-1][:, :_FIRST])

    def vectors(self, ids: Sequence[int], vectors: np.ndarray) -> Vectors:
        """Return the images with their sketches; their vectors must have length 1."""
        first = vectors @ self._axes
        others = 1 - np.einsum("ij,ij->i", first, first)
        lengths = np.sqrt(np.maximum(others, 0) + _SLACK)  # an upper bound, whatever the rounding
        return Vectors(np.asarray(ids, np.int64), vectors, np.column_stack((first, lengths)))


def decoded(halfvecs: Sequence[bytes], dimensions: int) -> np.ndarray:
    """Return the vectors as float32, of length 1 in spite of their rounding to half precision."""
    matrix = halfvec.decode(halfvecs, dimensions)
    lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    matrix /= np.maximum(lengths, np.finfo(np.float32).tiny)[:, np.newaxis]
    return matrix


def near_pairs(seekers: Vectors, candidates: Vectors, min_similarity: float, *, later_only: bool) -> Pairs:
    """Return the pairs of a candidate and a seeker whose cosine is at least `min_similarity`.

    Args:
        seekers: the ones, in order of their ids.
        candidates: the others, at most TILE, at least one.
        min_similarity: the least cosine.
        later_only: whether only seekers after their candidate count; else all but the candidate itself.
    """
    if later_only:
        seekers = seekers[np.searchsorted(seekers.ids, candidates.ids[0], side="right") :]
    possible = seekers.sketches @ candidates.sketches.T >= min_similarity - _SLACK
    if np.count_nonzero(possible) > _DENSE * possible.size:
        possible &= seekers.full @ candidates.full.T >= min_similarity - _SLACK
    rows, columns = np.divmod(np.flatnonzero(possible), len(candidates))
    ones, others = candidates.ids[columns], seekers.ids[rows]
    meant = ones < others if later_only else ones != others
    rows, columns, ones, others = rows[meant], columns[meant], ones[meant], others[meant]
    cosines = _cosines(seekers.full, candidates.full, rows, columns)
    near = cosines >= min_similarity
    return Pairs(ones[near], others[near], cosines[near])


def joined(parts: Sequence[Vectors]) -> Vectors:
    """Return the vectors of several parts, at least one, which follow one another."""
    return Vectors(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.full for part in parts]),
        np.concatenate([part.sketches for part in parts]),
    )


def _cosines(first: np.ndarray, second: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the cosines of picked pairs of rows."""
    cosines = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _PICKED):
        part = slice(start, start + _PICKED)
        np.einsum("ij,ij->i", first[rows[part]], second[columns[part]], out=cosines[part])
    return cosines
