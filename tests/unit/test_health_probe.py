"""What a server's probe makes of its health: slowness is no outage, failure is, and a blocked loop is neither."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from lookalike_searcher.errors import STATUS, DatabaseTimeout, DatabaseUnavailable, Overloaded
from lookalike_serving.health_probe import HealthProbe

INTERVAL = 0.05
"""Seconds; what these tests wait for are verdicts."""
TURNS = 6
"""An answer that has arrived over a socket needs a few turns of the event loop until it is read."""


class Work:
    """What a probe does: it waits until it may end, then ends with `failure`, if there is one."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[None] = asyncio.Queue()
        self.ended = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.failure: Exception | None = None

    async def __call__(self) -> None:
        self.begun.put_nowait(None)
        try:
            await self.may_end.wait()
        finally:
            self.ended.set()
        if self.failure:
            raise self.failure


@asynccontextmanager
async def probing(work: Work) -> AsyncIterator[Callable[[], "asyncio.Future[bool]"]]:
    """A probe that runs; what yields gives the next verdict."""
    verdicts: asyncio.Queue[bool] = asyncio.Queue()
    task = asyncio.create_task(HealthProbe(work, STATUS, INTERVAL, verdicts.put_nowait).run())
    yield lambda: asyncio.ensure_future(verdicts.get())
    task.cancel()
    await asyncio.wait({task})


async def test_three_slow_intervals_are_an_outage_which_an_answer_ends() -> None:
    work = Work()
    async with probing(work) as verdict:
        assert await verdict()
        work.may_end.clear()
        assert [await verdict() for _ in range(6)] in (  # a probe that had begun before ends well
            [True, True, False, False, False, False],
            [True, True, True, False, False, False],
        )
        assert work.begun.qsize() <= 3, "a second probe joined the one that hangs"
        work.may_end.set()
        while not await verdict():
            pass


async def test_a_probe_that_was_slow_twice_is_forgiven_when_it_answers() -> None:
    work = Work()
    async with probing(work) as verdict:
        for _ in range(3):
            work.may_end.clear()
            assert await verdict()
            assert await verdict()
            work.may_end.set()
            assert await verdict()


@pytest.mark.parametrize("failure", [DatabaseUnavailable(), ZeroDivisionError()])
async def test_one_failure_is_an_outage(failure: Exception) -> None:
    work = Work()
    async with probing(work) as verdict:
        assert await verdict()
        work.failure = failure
        assert not all([await verdict() for _ in range(2)])  # a probe that had begun before ends well
        work.failure = None
        while not await verdict():
            pass


@pytest.mark.parametrize("failure", [DatabaseTimeout(), TimeoutError(), Overloaded(9, 0.5, 0.5)])
async def test_a_timeout_or_an_overload_is_slow_and_no_failure(failure: Exception) -> None:
    work = Work()
    work.failure = failure
    async with probing(work) as verdict:
        assert [await verdict() for _ in range(4)] == [True, True, False, False]


async def test_time_in_which_the_loop_is_blocked_does_not_count(caplog: pytest.LogCaptureFixture) -> None:
    work = Work()
    work.may_end.clear()
    with caplog.at_level(logging.WARNING, "lookalike_serving.health_probe"):
        async with probing(work) as verdict:
            await work.begun.get()
            time.sleep(INTERVAL * 4)  # noqa: ASYNC251 - to block the loop is what this is about
            for _ in range(TURNS):
                await asyncio.sleep(0)
            work.may_end.set()
            assert await verdict()
    assert not caplog.records


async def test_a_probe_under_way_ends_with_the_server() -> None:
    work = Work()
    work.may_end.clear()
    async with probing(work):
        await work.begun.get()
    async with asyncio.timeout(10):
        await work.ended.wait()
