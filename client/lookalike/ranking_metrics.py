"""Judge rankings and similarities by pure functions over arrays, as the field defines them.

A ranking is a row of `relevance`: whether the photo at each rank is right, best first; False beyond its end. `totals`
says for each row how many right ones there are in all, found or not: at least 1. Rankings have an order, so there are
no ties among ranks; equal similarities are one point of the curves of `roc`.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

LEVELS: Final[Floats] = np.linspace(0.0, 1.0, 101)
"""Recalls at which precision is interpolated, as in COCO's 101 points."""


def average_precision(relevance: Bools, totals: Counts) -> Floats:
    """Return the mean, over all that is right, of the precision at its rank, 0 if not found. Its mean is mAP."""
    precision = relevance.cumsum(axis=1) / np.arange(1, relevance.shape[1] + 1)
    return np.asarray((precision * relevance).sum(axis=1) / totals)


def recall_at(relevance: Bools, totals: Counts, k: int) -> Floats:
    """Return the share of all that is right that is among the first `k`."""
    return np.asarray(relevance[:, :k].sum(axis=1) / totals)


def hit_at(relevance: Bools, k: int) -> Floats:
    """Return 1 where anything among the first `k` is right, else 0: with `k` = 1, P@1; metric learning's Recall@k."""
    return np.asarray(relevance[:, :k].any(axis=1), np.float64)


def ndcg_at(relevance: Bools, totals: Counts, k: int) -> Floats:
    """Return the first `k` ranks, discounted by log2(rank + 1), over those of the best order (Järvelin, Kekäläinen)."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    first = relevance[:, :k]
    ideal = discounts.cumsum()[np.minimum(totals, k) - 1]
    return np.asarray(first @ discounts[: first.shape[1]] / ideal)


def interpolated_precision(relevance: Bools, totals: Counts, levels: Floats = LEVELS) -> Floats:
    """Return the best precision at any recall of at least each level, 0 where that is never reached: (rows, levels)."""
    precisions = np.zeros((len(relevance), len(levels)))
    for row, (right, total) in enumerate(zip(relevance, totals, strict=True)):
        ranks = np.flatnonzero(right) + 1
        best = np.maximum.accumulate((np.arange(1, len(ranks) + 1) / ranks)[::-1])[::-1]
        right_counts = np.maximum(np.ceil(levels * total - 1e-9).astype(int), 1)  # how many make up each level
        reached = right_counts <= len(ranks)
        precisions[row, reached] = best[right_counts[reached] - 1]
    return precisions


class Roc(NamedTuple):
    """An ROC is a curve of points, from (0, 0) on: what is at or above the threshold is taken for a positive.

    Attributes:
        false_positives: share of the negatives that is.
        true_positives: share of the positives that is: recall.
        thresholds: similarities, falling; the first is infinite.
    """

    false_positives: Floats
    true_positives: Floats
    thresholds: Floats


def roc(positives: ArrayLike, negatives: ArrayLike) -> Roc:
    """The receiver operating characteristic; each different similarity is one point, however often it is there.

    Raises ValueError: there are no positives, or no negatives.
    """
    above, below = np.asarray(positives, np.float64), np.asarray(negatives, np.float64)
    if not above.size or not below.size:
        raise ValueError(f"a ROC takes positives and negatives, got {above.size} and {below.size}")
    thresholds = np.unique(np.concatenate([above, below]))[::-1]
    shares = [1 - np.searchsorted(np.sort(part), thresholds) / part.size for part in (below, above)]
    false_positives, true_positives = (np.concatenate([[0.0], share]) for share in shares)
    return Roc(false_positives, true_positives, np.concatenate([[np.inf], thresholds]))


def auc(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Return the area under the ROC: how likely a positive is above a negative, equal ones counted as half."""
    curve = roc(positives, negatives)
    return float(np.trapezoid(curve.true_positives, curve.false_positives))


class Operating(NamedTuple):
    """An operating point is what a threshold gives."""

    threshold: float
    precision: float
    recall: float


def at_recall(positives: ArrayLike, negatives: ArrayLike, recall: float) -> Operating:
    """Return the highest threshold that reaches this recall, in (0, 1], and its precision among these pairs.

    Precision depends on how many positives and negatives there are: it says nothing without their base rate.
    """
    ordered = np.sort(np.asarray(positives, np.float64))[::-1]
    return at_threshold(positives, negatives, float(ordered[int(np.ceil(recall * ordered.size - 1e-9)) - 1]))


def at_threshold(positives: ArrayLike, negatives: ArrayLike, threshold: float) -> Operating:
    """Return what this threshold gives; nothing fires: its precision is 1."""
    true, false = (int((np.asarray(part) >= threshold).sum()) for part in (positives, negatives))
    return Operating(threshold, true / (true + false) if true + false else 1.0, true / np.size(positives))
