"""What a project that tunes itself gains, on products that it does not have, by the choice that the searcher makes."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from lookalike.adapt.choose import MIN_IMAGES, choose
from lookalike.adapt.measure import precisions
from lookalike.adapt.sample import NO_PAIRS, Sample
from lookalike.evaluation.ranking import Vectors
from lookalike.ranking_metrics import Counts
from tests.bench.figures import Figure
from tests.bench.labelled_photos import Set

_SEEDS: Final = 5
_LEAST: Final = 4
"""Labels of two photos or more that a set must have to be split."""


def measure(own: Set) -> list[Figure]:
    """Half of the labels are the shop's products; the photos of the other half are searched among themselves.

    The shop sees nothing of the other half. What it does not publish gains nothing.
    """
    values, counts = np.unique(own.photo_labels, return_counts=True)
    if (counts > 1).sum() < _LEAST:
        return []
    gains, methods = [], []
    for seed in range(_SEEDS):
        shop = np.isin(own.photo_labels, np.random.default_rng(seed).permutation(values)[: len(values) // 2])
        gain, method = _gain(own.vectors, own.photo_labels, shop, seed)
        gains.append(gain)
        methods.append(method)
    ranged = f"{min(gains):.3f} to {max(gains):.3f} over {_SEEDS} splits: {', '.join(methods)}"
    return [
        Figure(f"tuned_gain_of.{own.name}", geometric(gains), f"geometric mean; {ranged}"),
        Figure(f"tuned_worst_gain_of.{own.name}", min(gains), "the worst split"),
    ]


def _gain(vectors: Vectors, labels: Counts, shop: Counts, seed: int) -> tuple[float, str]:
    groups = _groups(labels)
    sample = Sample(vectors[shop], groups[shop], NO_PAIRS, NO_PAIRS)
    if len(sample.vectors) < MIN_IMAGES:
        return 1.0, "nothing"
    choice = choose(sample, None, np.ones(len(sample.vectors), bool), seed)
    projection = choice.projection
    if projection is None:
        return 1.0, "nothing"
    others, shown = vectors[~shop], groups[~shop]
    queries = np.flatnonzero(shown >= 0)
    before = precisions(others, shown, queries).mean()
    after = precisions(projection.apply(others), shown, queries, projection.neighbours).mean()
    called = f"{choice.learning.method} {len(projection.matrix)}, {projection.neighbours} neighbours"
    return float(after / before), called


def _groups(labels: Counts) -> Counts:
    """The number of each photo's label, or -1 where no other photo bears it."""
    _, of_photo, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return np.where(sizes[of_photo] > 1, of_photo, -1)


def summary(figures: Sequence[Figure]) -> list[Figure]:
    """Each set counts alike; the worst is the worst set, and the worst split of any set is beside it."""
    means = [one.value for one in figures if one.name.startswith("tuned_gain_of.") and one.value]
    worst = [one.value for one in figures if one.name.startswith("tuned_worst_gain_of.") and one.value]
    if not means:
        return []
    return [
        Figure("tuned_gain", geometric(means), "on labels that the shop does not have, over sets", least=1.22),
        Figure("tuned_median_gain", float(np.median(means)), "the median over sets"),
        Figure("tuned_worst_gain", min(means), "the worst set, by its mean over splits", least=1.05),
        Figure("tuned_worst_split_gain", min(worst), "the worst split of any set"),
    ]


def geometric(values: Sequence[float]) -> float:
    """The geometric mean."""
    return float(np.exp(np.mean(np.log(values))))
