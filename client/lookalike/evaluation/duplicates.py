"""How well copies of a photo are told from other photos that look like it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from lookalike import ranking_metrics
from lookalike.evaluation.ranking import Ranked
from lookalike.ranking_metrics import Counts, Floats, Operating, Roc

_RECALL: Final = 0.95


class Pair(NamedTuple):
    """Two photos by their rows."""

    photo: int
    other: int
    similarity: float


@dataclass(frozen=True)
class Neighbours:
    """The nearest other photos, which are the hardest to tell from copies, and how often any pair is taken for one.

    Attributes:
        same: for each photo that has one, the nearest other photo of its label.
        different: for each photo, the nearest of another label.
        same_fired: the share of all pairs of the same label at or above the threshold.
        different_fired: the share of all pairs of different labels.
        threshold: that similarity.
    """

    same: tuple[Pair, ...]
    different: tuple[Pair, ...]
    same_fired: float
    different_fired: float
    threshold: float


@dataclass(frozen=True)
class NearDuplicates:
    """Positives: a photo and its altered copy. Negatives: each photo and its nearest others.

    Attributes:
        copies: by alteration, the similarity of each copied photo and its copy.
        neighbours: the negatives.
    """

    copies: Mapping[str, Floats]
    neighbours: Neighbours

    @property
    def photo_count(self) -> int:
        """Of how many photos there are copies."""
        return next(iter(self.copies.values())).size

    @property
    def positives(self) -> Floats:
        """Similarities of all copies and their photos."""
        return np.concatenate(list(self.copies.values()))

    @property
    def same(self) -> Floats:
        """Similarities of each photo and the nearest other of its label."""
        return np.array([pair.similarity for pair in self.neighbours.same])

    @property
    def different(self) -> Floats:
        """Similarities of each photo and the nearest one of another label."""
        return np.array([pair.similarity for pair in self.neighbours.different])

    @property
    def negatives(self) -> Floats:
        """Both."""
        return np.concatenate([self.same, self.different])

    @property
    def roc(self) -> Roc:
        """Over all positives and negatives."""
        return ranking_metrics.roc(self.positives, self.negatives)

    @property
    def at_recall(self) -> Operating:
        """What it takes, and costs, to find 95 % of the copies."""
        return ranking_metrics.at_recall(self.positives, self.negatives, _RECALL)

    @property
    def at_threshold(self) -> Operating:
        """What the present threshold gives."""
        return ranking_metrics.at_threshold(self.positives, self.negatives, self.neighbours.threshold)

    def recalls(self) -> dict[str, float]:
        """The share of copies at or above the threshold, by alteration."""
        return {name: float((found >= self.neighbours.threshold).mean()) for name, found in self.copies.items()}

    def figures(self) -> dict[str, float]:
        """What is reported, by name."""
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


class Watcher:
    """Lets exact rankings through, and notes each photo's neighbours."""

    def __init__(self, labels: Counts, threshold: float) -> None:
        self._labels, self._threshold = labels, threshold
        self._nearest: dict[bool, list[Pair]] = {True: [], False: []}
        self._fired = {True: 0, False: 0}
        self._pairs = {True: 0, False: 0}

    def watched(self, rankings: Iterable[Ranked]) -> Iterator[Ranked]:
        """The rankings, as they are."""
        for ranked in rankings:
            same = self._labels[ranked.order] == self._labels[ranked.queries][:, None]
            for is_same, which in ((True, same), (False, ~same)):
                self._pairs[is_same] += int(which.sum())
                self._fired[is_same] += int((which & (ranked.similarities >= self._threshold)).sum())
                rows = np.flatnonzero(which.any(axis=1))
                places = which.argmax(axis=1)[rows]
                found = zip(ranked.queries[rows], ranked.order[rows, places], strict=True)
                self._nearest[is_same] += [
                    Pair(int(photo), int(other), float(similarity))
                    for (photo, other), similarity in zip(found, ranked.similarities[rows, places], strict=True)
                ]
            yield ranked

    def neighbours(self) -> Neighbours:
        """What was noted."""
        fired = {kind: self._fired[kind] / max(1, self._pairs[kind]) for kind in (True, False)}
        nearest = {kind: tuple(self._nearest[kind]) for kind in (True, False)}
        return Neighbours(nearest[True], nearest[False], fired[True], fired[False], self._threshold)
