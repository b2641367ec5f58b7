"""How deep an index is walked, by what each depth finds and how long it takes."""

import pytest

from lookalike_searcher.indexes.calibration import EXACT, Curve, Rung

EASY = (0.97, 0.993, 0.997, 0.999, 1.0)
ALMOST = (0.95, 0.97, 0.98, 0.991, 0.9945)
HARD = (0.3, 0.5, 0.7, 0.72, 0.722)


def curve(recalls: tuple[float, ...], exact_seconds: float = 0.05) -> Curve:
    rungs = zip((40, 100, 200, 450, 1000), recalls, (0.001, 0.002, 0.003, 0.005, 0.009), strict=True)
    return Curve(10, tuple(Rung(*rung) for rung in rungs), exact_seconds)


@pytest.mark.parametrize(
    ("recalls", "target", "chosen"),
    [
        (EASY, 0.99, 200),  # half of the misses that the target allows are kept for harder queries
        (EASY, 0.95, 100),
        (EASY, 1.0, 1000),
        (ALMOST, 0.99, 450),  # none keeps the margin, but the target is met
        (ALMOST, 0.999, 1000),
        (HARD, 0.99, 450),  # the knee: the deepest walk finds .002 more
        (HARD, 0.9, 200),
        ((0.5, 0.5, 0.5, 0.5, 0.5), 0.99, 40),
    ],
)
def test_the_least_depth_that_is_enough_is_chosen_or_else_the_knee(
    recalls: tuple[float, ...], target: float, chosen: int
) -> None:
    assert curve(recalls).choose(target) == chosen


def test_rankings_are_exact_only_where_the_index_misses_the_target_and_takes_no_less_time() -> None:
    assert curve(HARD, exact_seconds=0.004).choose(0.99) == EXACT
    assert curve(HARD, exact_seconds=0.006).choose(0.99) == 450
    assert curve(EASY, exact_seconds=0.0001).choose(0.99) == 200


def test_the_log_has_the_curve() -> None:
    assert str(curve(EASY)).startswith("recall@10 by hnsw.ef_search 40: 0.9700 in 1.0 ms, 100: 0.9930 in 2.0 ms, ")
