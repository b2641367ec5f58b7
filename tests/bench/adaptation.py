"""What a space learned from some products is worth on others of the same shop."""

from typing import Final

import numpy as np

from lookalike.adapt.learning import learn
from lookalike.evaluation.ranking import leave_one_out, retrieval
from tests.bench.figures import Figure
from tests.bench.labelled_photos import Set

_SPLITS: Final = 5
_LEAST: Final = 4
"""Labels of two photos or more that a set must have to be split."""


def measure(own: Set) -> list[Figure]:
    """Half of the labels to learn from, the other half to be searched among themselves, split five times by chance."""
    values, counts = np.unique(own.photo_labels, return_counts=True)
    if (counts > 1).sum() < _LEAST:
        return []
    none = np.zeros((0, 2), np.int64)
    before, after = [], []
    for seed in range(_SPLITS):
        learnt = np.random.default_rng(seed).permutation(values)[: len(values) // 2]
        known = np.isin(own.photo_labels, learnt)
        projection = learn(own.vectors[known], own.photo_labels[known], none, none)
        held_out, labels = own.vectors[~known], own.photo_labels[~known]
        before.append(retrieval(leave_one_out(held_out), labels).figures()["map"])
        after.append(retrieval(leave_one_out(projection.apply(held_out)), labels).figures()["map"])
    gains = np.array(after) / before
    on = f"on the {len(values) - len(values) // 2} labels held out of {len(values)}, {_SPLITS} splits"
    return [
        Figure(f"held_out_map.{own.name}", float(np.mean(before)), on),
        Figure(f"adapted_map.{own.name}", float(np.mean(after)), on),
        Figure(f"adapted_gain.{own.name}", float(gains.mean()), f"{gains.min():.3f} to {gains.max():.3f}"),
    ]
