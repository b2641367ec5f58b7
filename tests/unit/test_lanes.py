"""The lanes: interactive first, bulk never starved, nothing decoded too far ahead, and an end for all who wait."""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from lookalike_embedder.job import Job, Lane
from lookalike_embedder.lanes import MAX_IN_A_ROW, Lanes


def job(lane: Lane) -> Job:
    return Job(b"", lane, lambda _: None)


def filled(interactive: int, bulk: int, *, max_decoded: int = 100) -> Lanes:
    lanes = Lanes(max_decoded, decoders=9)
    for lane, number in ((Lane.BULK, bulk), (Lane.INTERACTIVE, interactive)):
        for _ in range(number):
            lanes.put(job(lane))
    return lanes


def taken(lanes: Lanes, number: int) -> list[Lane]:
    return [found.lane for _ in range(number) if (found := lanes.take())]


def test_interactive_jobs_go_first_though_they_came_last() -> None:
    assert taken(filled(2, 2), 4) == [Lane.INTERACTIVE] * 2 + [Lane.BULK] * 2


def test_bulk_jobs_get_a_turn_however_many_interactive_ones_wait() -> None:
    order = taken(filled(3 * MAX_IN_A_ROW, 2), 2 * MAX_IN_A_ROW + 2)
    assert [place for place, lane in enumerate(order) if lane is Lane.BULK] == [MAX_IN_A_ROW, 2 * MAX_IN_A_ROW + 1]


def test_bulk_images_are_not_decoded_further_ahead_than_told() -> None:
    lanes = filled(0, 5, max_decoded=2)
    first, second = lanes.take(), lanes.take()
    assert first
    assert second
    lanes.put(job(Lane.INTERACTIVE))
    assert taken(lanes, 1) == [Lane.INTERACTIVE]  # which the bound does not hold up
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(lanes.take)
        lanes.pass_on(first)
        assert not waiting.done()  # decoded is still ahead
        assert lanes.batch(Lane.BULK, 8) == [first]
        assert waiting.result(10)
        waiting = thread.submit(lanes.take)
        lanes.drop(second)  # refused: nothing to compute
        assert waiting.result(10)


def test_bulk_leaves_a_decoder_free_for_interactive_jobs() -> None:
    lanes = Lanes(100, decoders=3)
    for _ in range(4):
        lanes.put(job(Lane.BULK))
    assert taken(lanes, 2) == [Lane.BULK] * 2
    with ThreadPoolExecutor(1) as thread:
        third = thread.submit(lanes.take)
        lanes.put(job(Lane.INTERACTIVE))
        found = third.result(10)
        assert found
        assert found.lane is Lane.INTERACTIVE
        lanes.pass_on(job(Lane.BULK))  # one of the two is decoded
        assert taken(lanes, 1) == [Lane.BULK]


def test_a_batch_has_what_is_there_in_order_and_of_its_lane_alone() -> None:
    lanes = Lanes(10, decoders=9)
    jobs = [job(Lane.BULK) for _ in range(3)]
    for each in (*jobs, job(Lane.INTERACTIVE)):
        lanes.pass_on(each)
    assert lanes.batch(Lane.BULK, 2) == jobs[:2]
    assert lanes.batch(Lane.BULK, 2) == jobs[2:]
    assert lanes.waiting(Lane.INTERACTIVE) == (0, 1)


def test_where_interactive_jobs_wait_for_longer_than_expected_the_newest_is_next_and_who_has_gone_is_let_go() -> None:
    """The old one has waited for 7 of its 10 seconds, another for less than half of its time, as may happen.

    Callers without a deadline are taken to wait for 20.
    """
    began = time.monotonic() - 7
    gone, old, halfway, patient, new = (
        Job(b"", Lane.INTERACTIVE, lambda _: None, began + seconds, entered=began + since)
        for since, seconds in ((0, 1), (0, 10), (0, 15), (0, math.inf), (7, 17))
    )
    for order, expected in (
        ((gone, old, new), [gone, new, old]),
        ((halfway, old, new), [halfway, new, old]),
        ((patient, old, new), [patient, new, old]),
    ):
        lanes = Lanes(10, decoders=9)
        for each in order:
            lanes.put(each)
            lanes.pass_on(each)
        assert [lanes.take() for _ in order] == expected
        assert lanes.batch(Lane.INTERACTIVE, len(order)) == expected


def test_bulk_jobs_stay_in_order_however_long_they_wait() -> None:
    lanes, began = Lanes(10, decoders=9), time.monotonic() - 60
    jobs = [Job(b"", Lane.BULK, lambda _: None, entered=began) for _ in range(2)]
    lanes.put(*jobs)
    assert [lanes.take() for _ in jobs] == jobs


@pytest.mark.parametrize("wait", [Lanes.take, lambda lanes: lanes.batch(Lane.BULK, 1)])
def test_closing_ends_every_wait(wait: Callable[[Lanes], object]) -> None:
    lanes = Lanes(1, decoders=9)
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(wait, lanes) for _ in range(3)]
        lanes.close()
        assert not any(each.result(10) for each in waiting)
