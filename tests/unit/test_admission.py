"""Which calls get a connection, which wait, and which are refused."""

import asyncio
import math
from contextlib import suppress
from typing import Self

import pytest

from lookalike_searcher.database import admission
from lookalike_searcher.database.admission import Admission
from lookalike_searcher.quota import QuotaExceeded
from lookalike_serving.patience import retry_after
from tests.clock import Clock


class Calls:
    """Calls that hold a place until they are told to end, and in what order they got it."""

    def __init__(self, share: int) -> None:
        self.share = share
        self.admission = Admission(share, patience=20)
        self.inside: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def begin(self, *names: str, remaining: float = math.inf, waited: float = 0.0) -> "list[asyncio.Task[None]]":
        """Start calls, on the projects that their names begin with, and let each come as far as it can."""
        tasks = [asyncio.create_task(self._call(name, remaining, waited)) for name in names]
        self._tasks += tasks
        await self.settle()
        return tasks

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def _call(self, name: str, remaining: float, waited: float) -> None:
        self._ends[name] = asyncio.Event()
        await self.admission.take(name[0], remaining, waited)
        try:
            self.inside.append(name)
            await self._ends[name].wait()
            self.inside.remove(name)
        finally:
            self.admission.give_back(name[0])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(admission, "time", clock)
    return clock


async def test_a_project_gets_its_share_and_others_theirs_and_who_waits_longest_is_next() -> None:
    async with Calls(2) as calls:
        tasks = await calls.begin("a1", "a2", "a3", "a4", "b1")
        assert calls.inside == ["a1", "a2", "b1"]
        await calls.end("a2")
        assert calls.inside == ["a1", "b1", "a3"]
        for name in ("a1", "a3", "a4", "b1"):
            await calls.end(name)
        await asyncio.gather(*tasks)


async def test_a_call_that_is_cancelled_gives_its_place_back_waiting_or_not() -> None:
    async with Calls(1) as calls:
        first, second, third = await calls.begin("a1", "a2", "a3")
        second.cancel()
        await calls.settle()
        first.cancel()
        await calls.settle()
        assert calls.inside[-1] == "a3"
        await calls.end("a3")
        await third
        for task in (first, second):
            with suppress(asyncio.CancelledError):
                await task
        assert await calls.begin("a4")
        assert calls.inside[-1] == "a4"
        await calls.end("a4")


async def test_a_place_that_was_given_to_a_call_as_it_was_cancelled_goes_to_the_next() -> None:
    asked = Admission(1, patience=20)
    await asked.take("a", math.inf)
    waiting = asyncio.create_task(asked.take("a", math.inf))
    await asyncio.sleep(0)
    asked.give_back("a")
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    async with asyncio.timeout(60):
        await asked.take("a", math.inf)


async def test_a_place_goes_to_no_call_that_was_cancelled_before_it_could_tell() -> None:
    asked = Admission(1, patience=20)
    await asked.take("a", math.inf)
    gone, next_one = (asyncio.create_task(asked.take("a", math.inf)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    asked.give_back("a")
    await asyncio.wait({gone, next_one})
    assert gone.cancelled()
    await next_one


async def test_it_is_told_whether_calls_wait_and_nothing_is_kept_of_a_project_without_any() -> None:
    async with Calls(1) as calls:
        tasks = await calls.begin("a1", "b1")
        told = [calls.admission.calls_wait]
        tasks += await calls.begin("b2")
        told.append(calls.admission.calls_wait)
        for name in ("a1", "b1"):
            await calls.end(name)
        assert [*told, calls.admission.calls_wait] == [False, True, False]
        await calls.end("b2")
        await asyncio.gather(*tasks)
        assert not calls.admission._projects


async def test_a_call_that_was_cancelled_does_not_count_as_one_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_WAITING", 1)
    async with Calls(1) as calls:
        _, gone = await calls.begin("a1", "a2")
        gone.cancel()
        await calls.settle()
        assert not (await calls.begin("a3"))[0].done()


async def test_more_than_may_wait_are_refused_and_only_of_that_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_WAITING", 3)
    async with Calls(2) as calls:
        tasks = await calls.begin(*(f"a{number}" for number in range(6)))
        *_, refused = tasks
        assert await reason_of(refused) == "PROJECT_BUSY"
        tasks += await calls.begin("b0")
        assert calls.inside == ["a0", "a1", "b0"]
        for name in ("a0", "a1", "a2", "a3", "a4", "b0"):
            await calls.end(name)
        again = await calls.begin("a9")
        assert calls.inside == ["a9"]
        await calls.end("a9")
        await asyncio.gather(*again, *tasks[:5], tasks[-1])


async def test_a_call_that_would_wait_too_long_for_its_deadline_is_refused_at_once(clock: Clock) -> None:
    async with Calls(2) as calls:
        await saturated(calls, clock, seconds=0.3)  # from one end of a call to the next
        waits = [await calls.begin(name, remaining=2.5) for name in ("a1", "a2")]
        [refused] = await calls.begin("a3", remaining=2.5)  # it would wait for 0.9 s, more than 0.3 of 2.5
        assert await reason_of(refused) == "PROJECT_BUSY"
        error = refused.exception()
        assert isinstance(error, QuotaExceeded)
        assert (error.metadata["project"], error.metadata["waiting"]) == ("a", "2")
        assert float(error.metadata["wait_seconds"]) == pytest.approx(0.9, rel=0.1)
        assert 0.9 <= float(error.metadata["retry_seconds"]) / float(error.metadata["wait_seconds"]) <= 2.1
        with pytest.raises(QuotaExceeded):
            calls.admission.check("a", 2)  # and before anything is done for it
        calls.admission.check("a", 4)
        with pytest.raises(QuotaExceeded):
            calls.admission.check("a", 3, waited=1)  # 0.3 of 4 s, of which one is gone
        with pytest.raises(QuotaExceeded):
            await calls.admission.take("a", 3, waited=1)
        calls.admission.check("b", 2)
        assert not any(task.done() for wait in waits for task in wait)
        assert not (await calls.begin("a4", remaining=4))[0].done()
        assert not (await calls.begin("a5", remaining=math.inf))[0].done()  # 20 s are assumed


def test_refused_callers_are_told_to_come_back_at_different_times() -> None:
    delays = {retry_after(0.5) for _ in range(20)}
    assert len(delays) == 20
    assert all(0.5 <= delay <= 1 for delay in delays)


async def test_where_calls_take_much_longer_than_expected_who_cannot_make_it_is_refused_and_the_newest_is_served(
    clock: Clock,
) -> None:
    async with Calls(1) as calls:
        await calls.begin("a1")
        [late] = await calls.begin("a2", remaining=1.3)
        [halfway] = await calls.begin("a3", remaining=2.6)
        [old] = await calls.begin("a4", remaining=2)
        clock.now += 1.25
        [newer] = await calls.begin("a5", remaining=6)
        await calls.end("a1")
        assert await reason_of(late) == "PROJECT_BUSY"  # it has 0.05 s left
        assert calls.inside == ["a3"]  # it has waited for less than half of its time
        await calls.end("a3")
        assert calls.inside == ["a5"]  # a4 has waited for more than half of its 2 s
        await calls.end("a5")
        assert calls.inside == ["a4"]
        await calls.end("a4")
        await asyncio.gather(halfway, old, newer)


@pytest.mark.parametrize("remaining", [2, math.inf])
async def test_a_time_in_which_no_call_ends_is_expected_to_last_and_is_soon_forgotten(
    clock: Clock, remaining: float
) -> None:
    """Also by callers without a deadline, who are taken to have 20 s."""
    async with Calls(1) as calls:
        await calls.begin("a1")
        clock.now += 10
        [refused] = await calls.begin("a2", remaining=remaining)
        assert await reason_of(refused) == "PROJECT_BUSY"
        await calls.end("a1")
        await saturated(calls, clock, seconds=0.001, times=80)
        assert not (await calls.begin("a2", remaining=2))[0].done()


async def test_while_a_place_is_free_nobody_is_refused_however_long_no_call_has_ended(clock: Clock) -> None:
    async with Calls(2) as calls:
        await calls.begin("a1")
        clock.now += 100
        calls.admission.check("a", 1)
        assert not (await calls.begin("a2", remaining=1))[0].done()


async def test_the_pace_is_that_of_calls_for_whose_end_others_wait_from_one_end_to_the_next(clock: Clock) -> None:
    async with Calls(2) as calls:
        tasks = await calls.begin("a1")
        clock.now += 100  # with a free place, which tells nothing
        await calls.end("a1")
        tasks += await calls.begin("a2", "a3", "a4", remaining=8)
        clock.now += 1
        await calls.end("a2")
        assert calls.inside == ["a3", "a4"]
        assert not (await calls.begin("a5", remaining=2))[0].done()  # a call has just ended


async def test_who_is_refused_together_is_to_come_back_at_different_times(clock: Clock) -> None:
    async with Calls(1) as calls:
        await saturated(calls, clock, seconds=1)
        refused = [task.exception() for task in await calls.begin(*(f"a{number}" for number in range(5)), remaining=1)]
        assert len({error.metadata["retry_seconds"] for error in refused if isinstance(error, QuotaExceeded)}) > 1


async def test_of_a_project_that_was_idle_the_pace_of_others_is_expected(clock: Clock) -> None:
    async with Calls(1) as calls:
        await saturated(calls, clock, seconds=0.3)
        await calls.begin("b1")
        [refused] = await calls.begin("b2", remaining=0.9)
        assert await reason_of(refused) == "PROJECT_BUSY"


async def test_what_a_call_had_waited_before_counts_when_it_is_decided_who_is_served(clock: Clock) -> None:
    async with Calls(1) as calls:
        tasks = await calls.begin("a1")
        tasks += await calls.begin("a2", remaining=3, waited=0.8)
        clock.now += 1.2  # with that, it has waited for more than half of its 3.8 s
        tasks += await calls.begin("a3", remaining=6)
        for name, expected in (("a1", ["a3"]), ("a3", ["a2"]), ("a2", [])):
            await calls.end(name)
            assert calls.inside == expected
        await asyncio.gather(*tasks)


async def test_a_caller_without_a_deadline_who_has_waited_for_twenty_seconds_is_refused(clock: Clock) -> None:
    async with Calls(1) as calls:
        await calls.begin("a1")
        [refused] = await calls.begin("a2")
        clock.now += 21
        await calls.end("a1")
        assert await reason_of(refused) == "PROJECT_BUSY"


async def saturated(calls: Calls, clock: Clock, *, seconds: float, times: int = 60) -> None:
    """Have no free place, and calls of project a that end one after the other."""
    await calls.begin(*(f"a-{number}" for number in range(calls.share)))
    for number in range(times):
        clock.now += seconds
        await calls.end(f"a-{number}")
        await calls.begin(f"a-{number + calls.share}")


async def reason_of(task: "asyncio.Task[None]") -> str:
    with pytest.raises(QuotaExceeded) as caught:
        await task
    return caught.value.reason
