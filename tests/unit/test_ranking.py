"""Each photo against all others, and how near copies and look-alikes come."""

import numpy as np
import pytest

from lookalike.evaluation.duplicates import NearDuplicates, NeighbourCollector, Pair
from lookalike.evaluation.ranking import Ranked, leave_one_out, retrieval

ANGLES = np.radians([0, 10, 40, 41, 100])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)
LABELS = np.array([0, 0, 1, 0, 2])


@pytest.mark.parametrize("block", [1, 2, 256])
def test_five_photos_by_hand(block: int) -> None:
    """On a circle; the last one has a label of its own: it is found, but not searched for, as nor is the third."""
    found = retrieval(leave_one_out(VECTORS, block), LABELS)
    assert found.queries.tolist() == [0, 1, 3]
    assert found.left_out == 2
    # 0: 1✓ 2✗ 3✓ 4✗; 1: 0✓ 2✗ 3✓ 4✗; 3: 2✗ 1✓ 0✓ 4✗
    assert found.average_precision == pytest.approx([(1 + 2 / 3) / 2, (1 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2])
    assert found.top[:, :5].tolist() == [[1, 2, 3, 4, -1], [0, 2, 3, 4, -1], [2, 1, 0, 4, -1]]
    figures = found.figures()
    assert figures["p_at_1"] == pytest.approx(2 / 3)
    assert figures["map"] == pytest.approx((5 / 6 + 5 / 6 + 7 / 12) / 3)
    assert figures["hit_at_5"] == figures["recall_at_50"] == 1
    assert found.recall_curve[:4] == pytest.approx([1 / 3, 1 / 2, 1, 1])


def test_equally_similar_photos_come_in_their_order() -> None:
    orders = next(iter(leave_one_out(np.ones((50, 1), np.float32)))).order
    for query, order in enumerate(orders.tolist()):
        assert order == [other for other in range(50) if other != query]


def test_what_a_ranking_lacks_is_not_found() -> None:
    """As served, a ranking may end before the last."""
    ranked = Ranked(np.array([0]), np.array([[3, 1, -1, -1]]), np.zeros((1, 4), np.float32))
    found = retrieval([ranked], np.array([0, 0, 1, 2, 0]))
    assert found.average_precision == pytest.approx([(1 / 2) / 2])
    assert found.figures()["recall_at_50"] == pytest.approx(1 / 2)


def test_without_two_photos_of_a_label_there_is_nothing_to_judge() -> None:
    with pytest.raises(ValueError, match="nothing to find"):
        retrieval(leave_one_out(VECTORS), np.arange(5))


@pytest.mark.parametrize("block", [1, 256])
def test_the_nearest_others_and_the_pairs_that_fire(block: int) -> None:
    """At cos 15°: of three pairs of one label, one; of seven of two, one."""
    collector = NeighbourCollector(LABELS, float(np.cos(np.radians(15))))
    list(collector.collect(leave_one_out(VECTORS, block)))
    found = collector.neighbours()
    same = [(pair.photo, pair.other) for pair in found.same]
    assert same == [(0, 1), (1, 0), (3, 1)]
    assert [(pair.photo, pair.other) for pair in found.different] == [(0, 2), (1, 2), (2, 3), (3, 2), (4, 3)]
    assert found.same[2].similarity == pytest.approx(np.cos(np.radians(31)))
    assert found.same_fired == pytest.approx(1 / 3)
    assert found.different_fired == pytest.approx(1 / 7)


def test_copies_against_the_nearest_others() -> None:
    collector = NeighbourCollector(LABELS, 0.9)
    neighbours = collector.neighbours()
    neighbours = type(neighbours)((Pair(0, 1, 0.8),), (Pair(0, 2, 0.7), Pair(1, 2, 0.95)), 0, 0, 0.9)
    found = NearDuplicates({"crop": np.array([0.96, 0.85]), "mirror": np.array([0.75, 0.99])}, neighbours)
    assert found.recalls() == {"crop": 0.5, "mirror": 0.5}
    figures = found.figures()
    assert figures["near_duplicate_base_rate"] == pytest.approx(4 / 7)
    assert figures["near_duplicate_auc"] == pytest.approx((3 + 2 + 1 + 3) / 12)
    assert figures["near_duplicate_auc_same_label"] == pytest.approx(3 / 4)
    assert figures["near_duplicate_auc_other_label"] == pytest.approx(6 / 8)
    assert figures["near_duplicate_threshold_at_recall_95"] == 0.75
    assert figures["near_duplicate_precision_at_recall_95"] == pytest.approx(4 / 6)
    assert (figures["near_duplicate_precision"], figures["near_duplicate_recall"]) == pytest.approx((2 / 3, 1 / 2))
