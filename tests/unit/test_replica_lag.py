"""How far a replica is behind."""

import math

from lookalike_searcher.database.replica_lag import Lag


def test_a_replica_that_has_never_reached_a_note_is_behind_without_bound() -> None:
    lag = Lag()
    assert lag.seconds(0) == math.inf
    lag.note(1, 100)
    lag.compare(99)
    assert lag.seconds(2) == math.inf


def test_a_replica_that_has_all_is_not_behind() -> None:
    lag = Lag()
    lag.note(1, 100)
    lag.compare(100)
    assert lag.seconds(1.5) == 0
    lag.note(2, 200)
    assert lag.seconds(2.5) == 0
    lag.compare(250)
    assert lag.seconds(3) == 0


def test_what_has_not_been_reached_counts_from_the_newest_note_that_has() -> None:
    lag = Lag()
    for time, written in ((1, 100), (2, 200), (3, 300), (4, 400)):
        lag.note(time, written)
    lag.compare(299)
    assert lag.seconds(4) == 2
    assert lag.seconds(9) == 7
    lag.compare(300)
    assert lag.seconds(4) == 1
    lag.compare(400)
    assert lag.seconds(4) == 0


def test_without_news_of_the_primary_the_lag_grows_from_the_last() -> None:
    lag = Lag()
    lag.note(1, 100)
    lag.compare(100)
    assert lag.seconds(4) == 0
    assert lag.seconds(4.5) == 3.5


def test_a_replica_that_stands_still_for_long_is_told_to_be_as_far_behind_as_it_is() -> None:
    lag = Lag()
    for time in range(2000):
        lag.note(time, time)
        lag.compare(10)
    assert lag.seconds(2000) == 1990
