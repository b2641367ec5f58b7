"""Measure whether a projection helps: mean average precision on products that it was not learned from."""

from typing import Final

import numpy as np

from lookalike import ranking_metrics
from lookalike.adapt.augmentation import augment
from lookalike.adapt.learning import Projection
from lookalike.records import Gain, Interval

_HELD_OUT: Final = 1 / 3
_MAX_IMAGES: Final = 10_000
"""The most images of held-out products that are ranked; more images add little and take minutes."""
_MAX_QUERIES: Final = 2_000
_RESAMPLES: Final = 1_000
_BATCH_SIZE: Final = 256
"""Queries that are ranked at once, which takes 20 MB."""


def held_out(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return for each image whether its product is in the third that is held out, of shape (n,).

    Args:
        groups: the number of each image's product, of shape (n,); -1 for an image without a product.
        seed: the seed of the random choice of products.
    """
    products = np.unique(groups[groups >= 0])
    chosen = np.random.default_rng(seed).permutation(products)[: max(1, round(len(products) * _HELD_OUT))]
    return np.isin(groups, chosen)


def parts(groups: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """Return for each of so many parts whether each image's product is in it; each product is in one of them."""
    products = np.random.default_rng(seed).permutation(np.unique(groups[groups >= 0]))
    return [np.isin(groups, part) for part in np.array_split(products, count)]


def gain(vectors: np.ndarray, groups: np.ndarray, projection: Projection, seed: int) -> Gain:
    """Measure what the projection changes for held-out products, each with two images or more.

    Each image is searched for among all others. The confidence intervals come from a bootstrap over products, because
    the results of the images of one product depend on each other.
    """
    vectors, groups = limited(vectors, groups, seed)
    queries = drawn(len(vectors), seed)
    before = precisions(vectors, groups, queries)
    after = precisions(projection.apply(vectors), groups, queries, projection.neighbours)
    intervals = [bootstrapped(values, groups[queries], seed) for values in (before, after, after - before)]
    return Gain(len(np.unique(groups)), len(queries), *intervals)


def drawn(count: int, seed: int) -> np.ndarray:
    """Return the places of some of so many images, in rising order, that are searched for."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:_MAX_QUERIES])


def bootstrapped(values: np.ndarray, groups: np.ndarray, seed: int) -> Interval:
    """Return the mean of the queries' values, with its interval from a bootstrap over the products that they show.

    A bootstrap over n products is too narrow where n is small. So it is widened about the mean as Student's
    distribution of n - 1 degrees of freedom is wider than the normal one.
    """
    products, of_product = np.unique(groups, return_inverse=True)
    weights = np.random.default_rng(seed).multinomial(
        len(products), np.full(len(products), 1 / len(products)), _RESAMPLES
    )
    sums, counts = np.bincount(of_product, values), np.bincount(of_product)
    ends = np.quantile(weights @ sums / (weights @ counts), (0.005, 0.995))
    mean = float(values.mean())
    low, high = mean + (ends - mean) * _widening(len(products))
    return Interval(mean, float(low), float(high))


def _widening(products: int) -> float:
    """Return by how much an interval of 99 % from so many products, at least two, must be wider.

    The quantile of Student's distribution is expanded in the inverse degrees of freedom (Abramowitz and Stegun,
    26.7.5).
    """
    z, freedom = 2.5758, products - 1
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    student = z + sum(term / freedom**power for power, term in enumerate(terms, 1))
    return float(student / z * np.sqrt(products / freedom))


def precisions(vectors: np.ndarray, groups: np.ndarray, queries: np.ndarray, neighbours: int = 0) -> np.ndarray:
    """Return the average precision of each query; the query itself is not a hit.

    Args:
        vectors: float32 of shape (n, d).
        groups: the number of each image's product, of shape (n,).
        queries: the places of the queries among the vectors, in rising order.
        neighbours: the images, but not the queries, are augmented by so many; see `augmentation`.
    """
    blocks = []
    augmented = augment(vectors, neighbours)
    for start in range(0, len(queries), _BATCH_SIZE):
        batch = queries[start : start + _BATCH_SIZE]
        similarities = augmented.similarities(vectors, batch)
        similarities[np.arange(len(batch)), batch] = np.inf  # the query comes first, and is left out below
        order = np.argsort(-similarities, axis=1, kind="stable")[:, 1:]
        right = groups[order] == groups[batch, np.newaxis]
        blocks.append(ranking_metrics.average_precision(right, right.sum(axis=1)))
    return np.concatenate(blocks)


def limited(vectors: np.ndarray, groups: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Keep whole products at random, with at most `_MAX_IMAGES` images, but at least two products."""
    products, sizes = np.unique(groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(products))
    fits = np.cumsum(sizes[order]) <= _MAX_IMAGES
    fits[:2] = True
    of_chosen = np.isin(groups, products[order[fits]])
    return vectors[of_chosen], groups[of_chosen]
