"""Measure how well copies of a photo can be told from other photos that look like it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from lookalike import ranking_metrics
from lookalike.evaluation.ranking import Ranked
from lookalike.ranking_metrics import Counts, Floats, Operating, Roc

_RECALL: Final = 0.95  # as the names of the figures say


class Pair(NamedTuple):
    """A pair is two photos, given by their rows, and their similarity in [-1, 1]."""

    photo: int
    other: int
    similarity: float


@dataclass(frozen=True)
class Neighbours:
    """Neighbours are the nearest other photos of each photo, which are the hardest to tell from copies.

    Attributes:
        same: for each photo that has one, the nearest other photo of its label.
        different: for each photo, the nearest photo of another label.
        same_fired: the share in [0, 1] of all pairs of the same label that are at or above the threshold.
        different_fired: the share in [0, 1] of all pairs of different labels that are at or above the threshold.
        threshold: the similarity from which on a pair is called near-duplicate.
    """

    same: tuple[Pair, ...]
    different: tuple[Pair, ...]
    same_fired: float
    different_fired: float
    threshold: float


@dataclass(frozen=True)
class NearDuplicates:
    """NearDuplicates holds what says how well copies are found.

    The positives are pairs of a photo and its altered copy. The negatives are pairs of a photo and its nearest others.

    Attributes:
        copies: by alteration, the similarity of each copied photo and its copy.
        neighbours: the pairs that are the negatives.
    """

    copies: Mapping[str, Floats]
    neighbours: Neighbours

    @property
    def photo_count(self) -> int:
        """Return the number of photos that were copied."""
        return next(iter(self.copies.values())).size

    @property
    def positives(self) -> Floats:
        """Return the similarities of all copies and their photos."""
        return np.concatenate(list(self.copies.values()))

    @property
    def same(self) -> Floats:
        """Return the similarities of each photo and the nearest other photo of its label."""
        return np.array([pair.similarity for pair in self.neighbours.same])

    @property
    def different(self) -> Floats:
        """Return the similarities of each photo and the nearest photo of another label."""
        return np.array([pair.similarity for pair in self.neighbours.different])

    @property
    def negatives(self) -> Floats:
        """Return the similarities of `same` and of `different`."""
        return np.concatenate([self.same, self.different])

    @property
    def roc(self) -> Roc:
        """Return the ROC curve over all positives and negatives."""
        return ranking_metrics.roc(self.positives, self.negatives)

    @property
    def at_recall(self) -> Operating:
        """Return the threshold that finds 95 % of the copies, and the precision there."""
        return ranking_metrics.at_recall(self.positives, self.negatives, _RECALL)

    @property
    def at_threshold(self) -> Operating:
        """Return precision and recall at the present threshold."""
        return ranking_metrics.at_threshold(self.positives, self.negatives, self.neighbours.threshold)

    def recalls(self) -> dict[str, float]:
        """Return, by alteration, the share in [0, 1] of copies at or above the threshold."""
        threshold = self.neighbours.threshold
        return {name: float((similarities >= threshold).mean()) for name, similarities in self.copies.items()}

    def figures(self) -> dict[str, float]:
        """Return all figures about near duplicates, by name."""
        positives, negatives = self.positives, self.negatives
        return {
            "near_duplicate_auc": ranking_metrics.auc(positives, negatives),
            "near_duplicate_auc_same_label": ranking_metrics.auc(positives, self.same),
            "near_duplicate_auc_other_label": ranking_metrics.auc(positives, self.different),
            "near_duplicate_precision_at_recall_95": self.at_recall.precision,
            "near_duplicate_threshold_at_recall_95": self.at_recall.threshold,
            "near_duplicate_base_rate": positives.size / (positives.size + negatives.size),
            "near_duplicate_threshold": self.neighbours.threshold,
            "near_duplicate_precision": self.at_threshold.precision,
            "near_duplicate_recall": self.at_threshold.recall,
            "same_label_pairs_fired": self.neighbours.same_fired,
            "other_label_pairs_fired": self.neighbours.different_fired,
        }


class NeighbourCollector:
    """Collect the neighbours of each photo from exact rankings."""

    def __init__(self, labels: Counts, threshold: float) -> None:
        self._labels, self._threshold = labels, threshold
        self._nearest: dict[bool, list[Pair]] = {True: [], False: []}
        self._fired = {True: 0, False: 0}
        self._pairs = {True: 0, False: 0}

    def collect(self, rankings: Iterable[Ranked]) -> Iterator[Ranked]:
        """Yield the rankings unchanged, and collect their neighbours on the way."""
        for ranked in rankings:
            same = self._labels[ranked.order] == self._labels[ranked.queries][:, None]
            for is_same, mask in ((True, same), (False, ~same)):
                self._pairs[is_same] += int(mask.sum())
                self._fired[is_same] += int((mask & (ranked.similarities >= self._threshold)).sum())
                rows = np.flatnonzero(mask.any(axis=1))
                places = mask.argmax(axis=1)[rows]
                nearest = zip(ranked.queries[rows], ranked.order[rows, places], strict=True)
                self._nearest[is_same] += [
                    Pair(int(photo), int(other), float(similarity))
                    for (photo, other), similarity in zip(nearest, ranked.similarities[rows, places], strict=True)
                ]
            yield ranked

    def neighbours(self) -> Neighbours:
        """Return the neighbours that were collected."""
        fired = {kind: self._fired[kind] / max(1, self._pairs[kind]) for kind in (True, False)}
        nearest = {kind: tuple(self._nearest[kind]) for kind in (True, False)}
        return Neighbours(nearest[True], nearest[False], fired[True], fired[False], self._threshold)
