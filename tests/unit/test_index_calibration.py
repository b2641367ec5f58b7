"""How deep an index is walked, by what each depth finds and how long it takes."""

import pytest

from lookalike_searcher.indexes.curve import EXACT, Curve, Rung

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


def test_few_queries_that_find_nothing_do_not_make_all_searches_slower() -> None:
    """Three of 200 find none of their nearest, but at a depth that takes five times as long."""
    unreached = [Rung(ef_search, 0.985, ef_search / 1e5, standard_error=0.0086) for ef_search in (100, 200, 500)]
    curve = Curve(10, (*unreached, Rung(1000, 1.0, 0.01)), 0.05)
    assert curve.choose(0.99) == 100
    everywhere = [Rung(rung.ef_search, rung.recall, rung.seconds, 0.001) for rung in unreached]
    assert Curve(10, (*everywhere, Rung(1000, 1.0, 0.01)), 0.05).choose(0.99) == 1000


@pytest.mark.parametrize(
    ("exact_seconds", "was_exact", "chosen"),
    [(0.0024, False, EXACT), (0.0026, False, 200), (0.0026, True, EXACT), (0.0036, True, EXACT), (0.0037, True, 200)],
)
def test_rankings_are_exact_where_that_takes_no_longer_and_stay_as_they_are_where_both_take_as_long(
    monkeypatch: pytest.MonkeyPatch, exact_seconds: float, was_exact: bool, chosen: int
) -> None:
    monkeypatch.setattr("lookalike_searcher.indexes.curve.HYSTERESIS", 1.2)  # integration tests set another
    assert (
        curve(EASY, exact_seconds).choose(0.99, before=EXACT if was_exact else 40) == chosen
    )  # the index takes 0.003 s


@pytest.mark.parametrize(
    ("recalls", "before", "chosen"),
    [
        (EASY, 200, 200),
        (EASY, 100, 100),  # it meets the target, without the margin
        (EASY, 90, 200),
        (EASY, 300, 300),
        (EASY, 450, 300),  # slowly back
        (EASY, 1000, 700),
        (HARD, 200, 450),
        (HARD, 300, 450),
        ((0.3, 0.5, 0.715, 0.72, 0.722), 200, 200),  # none meets the target; deeper walks find .007 more
    ],
)
def test_another_calibration_of_the_same_graph_leaves_a_depth_that_still_serves(
    recalls: tuple[float, ...], before: int, chosen: int
) -> None:
    assert curve(recalls).choose(0.99, before=before, same_graph=True) == chosen
    assert curve(recalls).choose(0.99, before=before) == curve(recalls).choose(0.99)


def test_the_log_has_the_curve() -> None:
    assert str(curve(EASY)).startswith("recall@10 by hnsw.ef_search 40: 0.9700 in 1.0 ms, 100: 0.9930 in 2.0 ms, ")
