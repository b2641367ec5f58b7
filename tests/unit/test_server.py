"""How a server begins and ends: what it tells, and what it leaves behind."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator

import pytest

from lookalike.v1.embedder_pb2_grpc import EmbedderServiceServicer
from lookalike_embedder.errors import DeviceLost
from lookalike_serving.errors import ShuttingDown
from lookalike_serving.server import Draining
from tests.small_server import small_server


async def test_a_server_tells_that_it_serves_and_that_it_does_not_any_more_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[bool] = []
    before = asyncio.all_tasks()
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's path may have 107 characters
        monkeypatch.setattr(tempfile, "tempdir", short)
        async with small_server(EmbedderServiceServicer(), tell=told.append):  # type: ignore[abstract]
            assert told == [True]
        assert told == [True, False]
        assert not os.listdir(short)
    assert not [task for task in asyncio.all_tasks() - before if "HealthProbe" in repr(task.get_coro())]


async def test_a_server_that_cannot_do_its_work_does_not_begin() -> None:
    async def probe() -> None:
        raise DeviceLost

    with pytest.raises(DeviceLost):
        async with small_server(EmbedderServiceServicer(), probe=probe):  # type: ignore[abstract]
            pass


async def test_of_a_stream_that_comes_after_the_drain_has_begun_nothing_is_read() -> None:
    async def requests() -> AsyncIterator[int]:
        yield 1

    draining = Draining()
    draining.begin()
    with pytest.raises(ShuttingDown):
        await anext(draining.until(requests()))
