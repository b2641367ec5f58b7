"""Fair shares of connections."""

import asyncio
from contextlib import suppress

import pytest

from lookalike_searcher.database import fair_share
from lookalike_searcher.database.fair_share import Shares
from lookalike_searcher.quota import QuotaExceeded


class Calls:
    """Calls that hold a place until they are told to end, and in what order they got it."""

    def __init__(self, share: int) -> None:
        self.shares = Shares(share)
        self.inside: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}

    async def begin(self, *names: str) -> "list[asyncio.Task[None]]":
        """Start calls, on the projects that their names begin with, and let each come as far as it can."""
        tasks = [asyncio.create_task(self._call(name)) for name in names]
        await self.settle()
        return tasks

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def _call(self, name: str) -> None:
        self._ends[name] = asyncio.Event()
        await self.shares.take(name[0])
        try:
            self.inside.append(name)
            await self._ends[name].wait()
            self.inside.remove(name)
        finally:
            self.shares.give_back(name[0])


async def test_a_project_gets_its_share_and_others_theirs_and_who_waits_longest_is_next() -> None:
    calls = Calls(2)
    tasks = await calls.begin("a1", "a2", "a3", "a4", "b1")
    assert calls.inside == ["a1", "a2", "b1"]
    await calls.end("a2")
    assert calls.inside == ["a1", "b1", "a3"]
    for name in ("a1", "a3", "a4", "b1"):
        await calls.end(name)
    await asyncio.gather(*tasks)


async def test_a_call_that_is_cancelled_gives_its_place_back_waiting_or_not() -> None:
    calls = Calls(1)
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


async def test_more_than_may_wait_are_refused_and_only_of_that_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_share, "MAX_WAITING", 3)
    calls = Calls(2)
    tasks = await calls.begin(*(f"a{number}" for number in range(6)))
    with pytest.raises(QuotaExceeded) as caught:
        *_, refused = tasks
        await refused
    assert caught.value.reason == "PROJECT_BUSY"
    assert caught.value.metadata == {"project": "a", "limit_waiting": "3"}
    tasks += await calls.begin("b0")
    assert calls.inside == ["a0", "a1", "b0"]
    for name in ("a0", "a1", "a2", "a3", "a4", "b0"):
        await calls.end(name)
    again = await calls.begin("a9")
    assert calls.inside == ["a9"]
    await calls.end("a9")
    await asyncio.gather(*again, *tasks[:5], tasks[-1])
