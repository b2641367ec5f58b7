"""Whether a projection helps: mean average precision on products that it was not learned from."""

from typing import Final

import numpy as np

from lookalike import ranking_metrics
from lookalike.adapt.learning import Projection
from lookalike.records import Gain, Interval

_HELD_OUT: Final = 1 / 3
_MOST_IMAGES: Final = 10_000
"""Images of held-out products that are ranked: more tell little more, and take minutes."""
_MOST_QUERIES: Final = 2_000
_RESAMPLES: Final = 1_000
_AT_ONCE: Final = 256
"""Queries that are ranked at a time: 20 MB."""


def held_out(groups: np.ndarray, seed: int) -> np.ndarray:
    """Which images, of shape (n,), are of the third of the products that is held out; `groups` as in `learning`."""
    products = np.unique(groups[groups >= 0])
    chosen = np.random.default_rng(seed).permutation(products)[: max(1, round(len(products) * _HELD_OUT))]
    return np.isin(groups, chosen)


def gain(vectors: np.ndarray, groups: np.ndarray, projection: Projection, seed: int) -> Gain:
    """Measure what the projection does to images of held-out products, each of them with two or more.

    Each image is searched for among all the others. The intervals are from resampling products (bootstrap), as the
    images of one stand or fall together.
    """
    random = np.random.default_rng(seed)
    vectors, groups = _fewer(vectors, groups, random)
    queries = np.sort(random.permutation(len(vectors))[:_MOST_QUERIES])
    before = precisions(vectors, groups, queries)
    after = precisions(projection.apply(vectors), groups, queries)
    products, of_product = np.unique(groups[queries], return_inverse=True)
    weights = random.multinomial(len(products), np.full(len(products), 1 / len(products)), _RESAMPLES)

    def interval(values: np.ndarray) -> Interval:
        sums, counts = np.bincount(of_product, values), np.bincount(of_product)
        low, high = np.quantile(weights @ sums / (weights @ counts), (0.005, 0.995))
        return Interval(float(values.mean()), float(low), float(high))

    return Gain(len(np.unique(groups)), len(queries), interval(before), interval(after), interval(after - before))


def precisions(vectors: np.ndarray, groups: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The average precision of each query, by its place among the vectors: itself is no hit."""
    found = []
    for start in range(0, len(queries), _AT_ONCE):
        asked = queries[start : start + _AT_ONCE]
        similarities = vectors[asked] @ vectors.T
        similarities[np.arange(len(asked)), asked] = np.inf  # first, and then left out
        order = np.argsort(-similarities, axis=1, kind="stable")[:, 1:]
        right = groups[order] == groups[asked, np.newaxis]
        found.append(ranking_metrics.average_precision(right, right.sum(axis=1)))
    return np.concatenate(found)


def _fewer(vectors: np.ndarray, groups: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Whole products, as many as are ranked."""
    products, sizes = np.unique(groups, return_counts=True)
    order = random.permutation(len(products))
    fits = np.cumsum(sizes[order]) <= _MOST_IMAGES
    fits[:2] = True
    kept = np.isin(groups, products[order[fits]])
    return vectors[kept], groups[kept]
