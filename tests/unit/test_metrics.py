"""The figures are those of scikit-learn, and those that one can compute by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike import ranking_metrics
from tests.lazily import Lazily

truth = Lazily("sklearn.metrics")

SCORES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(-1, 1, allow_subnormal=False))
"""Many are equal."""


@st.composite
def judged(draw: Any) -> tuple[list[bool], list[float]]:  # noqa: ANN401 - hypothesis' own
    """Which photos are right, at least one and not all, and how similar each is."""
    relevance = [*draw(st.lists(st.booleans(), min_size=1, max_size=30)), True, False]
    return relevance, draw(st.lists(SCORES, min_size=len(relevance), max_size=len(relevance)))


def ranked(relevance: Sequence[bool], scores: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ranking as a block of one, its total, and for scikit-learn scores in its order without ties."""
    order = np.argsort(-np.array(scores), kind="stable")
    rows = np.array(relevance)[order][None]
    return rows, rows.sum(axis=1), -np.arange(rows.shape[1], dtype=float)[None]


@given(judged())
@settings(max_examples=60, deadline=None)
def test_average_precision_is_scikit_learns(found: tuple[list[bool], list[float]]) -> None:
    rows, totals, scores = ranked(*found)
    assert ranking_metrics.average_precision(rows, totals)[0] == pytest.approx(
        truth.average_precision_score(rows[0], scores[0])
    )


@given(judged(), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_ndcg_is_scikit_learns(found: tuple[list[bool], list[float]], k: int) -> None:
    rows, totals, scores = ranked(*found)
    assert ranking_metrics.ndcg_at(rows, totals, k)[0] == pytest.approx(truth.ndcg_score(rows, scores, k=k))


@given(judged())
@settings(max_examples=60, deadline=None)
def test_the_interpolated_curve_is_what_scikit_learns_points_reach(found: tuple[list[bool], list[float]]) -> None:
    rows, totals, scores = ranked(*found)
    precision, recall, _ = truth.precision_recall_curve(rows[0], scores[0])
    expected = [precision[:-1][recall[:-1] >= level - 1e-9].max() for level in ranking_metrics.LEVELS]
    expected[0] = precision[:-1][recall[:-1] > 0].max()  # at recall 0 nothing has been found yet
    assert ranking_metrics.interpolated_precision(rows, totals)[0] == pytest.approx(expected)


@given(judged(), st.one_of(st.sampled_from([0.25, 0.5, 0.75, 1.0]), st.floats(0.01, 1)))
@settings(max_examples=60, deadline=None)
def test_the_area_and_the_operating_points_are_scikit_learns(
    found: tuple[list[bool], list[float]], wanted: float
) -> None:
    """Here equal similarities are one point."""
    relevance, scores = (np.array(part) for part in found)
    positives, negatives = scores[relevance], scores[~relevance]
    assert ranking_metrics.auc(positives, negatives) == pytest.approx(truth.roc_auc_score(relevance, scores))
    precision, recall, thresholds = truth.precision_recall_curve(relevance, scores)
    last = int(np.flatnonzero(recall[:-1] >= wanted - 1e-9)[-1])
    assert ranking_metrics.at_recall(positives, negatives, wanted) == pytest.approx(
        (thresholds[last], precision[last], recall[last])
    )


def test_a_ranking_by_hand() -> None:
    """Right at ranks 1, 3 and 6 of 6; a fourth is never found."""
    rows, totals = np.array([[True, False, True, False, False, True]]), np.array([4])
    assert ranking_metrics.average_precision(rows, totals) == pytest.approx([(1 + 2 / 3 + 3 / 6) / 4])
    assert ranking_metrics.recall_at(rows, totals, 3) == pytest.approx([2 / 4])
    assert ranking_metrics.recall_at(rows, totals, 99) == pytest.approx([3 / 4])
    assert ranking_metrics.hit_at(rows[:, 1:], 1) == [0]
    assert ranking_metrics.hit_at(rows[:, 1:], 2) == [1]
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert ranking_metrics.ndcg_at(rows, totals, 3) == pytest.approx([(1 + 1 / 2) / ideal])
    levels = np.array([0, 0.25, 0.26, 0.5, 0.75, 0.76, 1])
    expected = [[1, 1, 2 / 3, 2 / 3, 1 / 2, 0, 0]]
    assert ranking_metrics.interpolated_precision(rows, totals, levels) == pytest.approx(np.array(expected))


def test_a_threshold_that_nothing_reaches_is_precise_and_finds_nothing() -> None:
    assert ranking_metrics.at_threshold([0.5], [0.4], 0.9) == (0.9, 1.0, 0.0)


def test_a_curve_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="got 1 and 0"):
        ranking_metrics.roc([0.5], [])
