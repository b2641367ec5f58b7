"""What the soak makes of what it has seen: which errors are excused, when a restart was over, how memory grew."""

import pytest

from tests.bench.soak.call_log import Call
from tests.bench.soak.judgement import Judgement
from tests.bench.soak.memory import Sample, segments, slope
from tests.bench.soak.restarts import GRACE_SECONDS, Restart

RESTART = Restart("kill", at=100, back=105)
AWAY = "UNAVAILABLE DATABASE_UNAVAILABLE"


@pytest.mark.parametrize(
    ("call", "excused"),
    [
        (Call("Search", 101, 102, AWAY), True),
        (Call("Search", 95, 100, AWAY), True),  # under way when the server was struck
        (Call("HTTP", 101, 102, "HTTP 503 DATABASE_UNAVAILABLE"), True),
        (Call("lookalike index", 90, 170, "EXIT 2: away for 60 s"), True),
        (Call("lookalike index", 90, 110, "EXIT 1: 1 failed"), False),
        (Call("Search", 101, 102, "INTERNAL INTERNAL"), False),
        (Call("Search", 101, 102, "TOO_FEW_HITS: 3 of 10"), False),
        (Call("Search", 98, 99, AWAY), False),
        (Call("Search", 105 + GRACE_SECONDS + 1, 120, AWAY), False),
    ],
)
def test_only_being_away_is_excused_and_only_around_a_restart(call: Call, excused: bool) -> None:
    judgement = Judgement([call], [RESTART])
    assert judgement.expected().total() == excused
    assert judgement.unexpected().total() == (not excused)


def test_a_kind_of_call_has_recovered_with_the_first_success_after_its_last_failure() -> None:
    """Not with one that got through before the server was quite gone."""
    calls = [
        Call("Search", 100.1, 100.2),
        Call("Search", 101, 101.1, AWAY),
        Call("Search", 102, 102.1),
        Call("Search", 104, 104.1, AWAY),
        Call("Search", 106, 107),
        Call("Search", 108, 108.1),
        Call("Embed", 101, 101.1),
        Call("GetImage", 101, 101.1, AWAY),
    ]
    assert Judgement(calls, [RESTART]).recoveries() == {("kill", "Search"): 7, ("kill", "GetImage"): None}


def test_a_success_after_the_next_restart_does_not_count_for_this_one() -> None:
    following = Restart("kill again", at=130, back=131)
    calls = [Call("Search", 101, 101.1, AWAY), Call("Search", 140, 141)]
    assert Judgement(calls, [RESTART, following]).recoveries() == {("kill", "Search"): None}


def test_latencies_count_from_when_a_call_was_due_and_calm_ones_met_no_restart() -> None:
    calls = [Call("Search", 50, 50.5), Call("Search", 99, 101), Call("Embed", 50, 53), Call("Search", 60, 61, "X")]
    judgement = Judgement(calls, [RESTART])
    assert judgement.latencies("Search", calm=True) == [0.5]
    assert judgement.latencies("Search", calm=False) == [0.5, 2]


def test_growth_is_told_by_process_without_the_warm_up_and_odd_samples_do_not_move_it() -> None:
    """The first one grows by 6 MB a minute; the second one is left out, as it does not live for long enough."""
    first = [Sample(1, at, 500.0 if at < 10 else 100 + at / 10) for at in range(60)]
    first[30] = first[30]._replace(megabytes=900.0)
    second = [Sample(2, at, 50.0 * at) for at in range(60, 70)]
    [found] = segments("searcher", first + second, warm_up=10)
    assert (found.name, found.seconds, found.first) == ("searcher", 49, 101)
    assert found.slope == pytest.approx(6)
    assert slope(first[31:]) == pytest.approx(6)
