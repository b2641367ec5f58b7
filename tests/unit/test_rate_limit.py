"""Token buckets: what may be saved up, how it comes back, and how many are kept."""

import pytest

from lookalike_serving import rate_limit
from lookalike_serving.rate_limit import Buckets
from tests.clock import Clock


def test_two_seconds_worth_may_come_at_once_and_then_one_at_a_time() -> None:
    clock = Clock()
    buckets: Buckets[str] = Buckets(clock.monotonic)
    assert [buckets.take("a", 4) for _ in range(8)] == [0] * 8
    assert buckets.take("a", 4) == pytest.approx(0.25)
    assert buckets.take("b", 4) == 0
    clock.now += 0.1
    assert buckets.take("a", 4) == pytest.approx(0.15)
    clock.now += 0.15
    assert buckets.take("a", 4) == 0
    assert buckets.take("a", 4) > 0
    clock.now += 3600
    assert [buckets.take("a", 4) == 0 for _ in range(9)] == [True] * 8 + [False]


def test_a_slow_rate_still_lets_one_through() -> None:
    buckets: Buckets[str] = Buckets(Clock().monotonic)
    assert buckets.take("a", 0.1) == 0
    assert buckets.take("a", 0.1) == pytest.approx(10)


def test_whoever_has_not_come_lately_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_MAX_BUCKETS", 2)
    clock = Clock()
    buckets: Buckets[str] = Buckets(clock.monotonic)
    for name in "abc":
        clock.now += 1
        assert buckets.take(name, 0.1) == 0
    assert buckets.take("b", 0.1) > 0
    assert buckets.take("c", 0.1) > 0
    assert len(buckets._buckets) == 2
