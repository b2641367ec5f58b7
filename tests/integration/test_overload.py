"""Many calls on few connections: who waits, who is refused, and that everybody goes on."""

import asyncio
import math
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from lookalike import errors
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.database import admission
from lookalike_searcher.database import pool as database_module
from lookalike_searcher.errors import Overloaded
from lookalike_searcher.quota import QuotaExceeded
from lookalike_serving import rpc
from tests.clock import Clock
from tests.indexer import INDEXED
from tests.lock_holder import LockHolder
from tests.own_searcher import Traffic, assert_stored, code_of, delete, searching
from tests.polling import until


async def test_a_project_whose_calls_hang_does_not_keep_others_waiting_and_is_refused_more(
    database_url: str, lock_holder: LockHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MAX_WAITING", 20)
    async with searching(database_url, pool_size=4) as searcher:
        greedy, other = await searcher.project(), await searcher.project()
        await lock_holder.lock(greedy.project, tables=True)
        reads = [searcher.search(greedy.project) for _ in range(22)]  # of which two hang in PostgreSQL
        writes = [asyncio.create_task(greedy.send(greedy.request(number))) for number in range(5)]
        await lock_holder.until_waiting(3)
        assert len((await searcher.search(other.project)).hits) == 1
        assert await other.send(other.request(1)) == [INDEXED]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await searcher.search(greedy.project)
        assert_busy(caught.value, greedy.project)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await searcher.stub.Search(wire.SearchRequest(project=greedy.project, limit=-1))
        assert_busy(caught.value, greedy.project)  # before it is looked at
        [refused] = (
            await searcher.stub.SearchBatch(
                wire.SearchBatchRequest(requests=[wire.SearchRequest(project=greedy.project)])
            )
        ).results
        assert errors.from_item(refused.error).retry_after
        assert not any(call.done() for call in (*reads, *writes))
        await lock_holder.unlock()
        assert all([(await call).hits for call in reads])
        await asyncio.gather(*writes)


@pytest.mark.parametrize(("size", "writers"), [(4, 1), (12, 2)])
async def test_a_projects_searches_have_half_of_the_connections_and_its_few_writers_others_for_which_they_wait_longer(
    database_url: str, monkeypatch: pytest.MonkeyPatch, size: int, writers: int
) -> None:
    """Without a deadline, a search waits for 0.3 of 20 s, and a writer for 0.3 of what a statement may take."""
    clock = Clock()
    monkeypatch.setattr(admission, "time", clock)

    async def use(connection: AbstractAsyncContextManager[object]) -> None:
        async with connection:
            pass

    async with database_module.connect(database_url, pool_size=size, command_timeout=30) as database:
        async with AsyncExitStack() as stack:
            for _ in range(size // 2):
                await stack.enter_async_context(database.searching("shop"))
            for _ in range(writers):
                await stack.enter_async_context(database.writing(project_name="shop"))
            told = [database.calls_wait]
            waiting = [asyncio.create_task(use(database.searching("shop")))]
            await asyncio.sleep(0)
            told.append(database.calls_wait)
            clock.now += 8
            waiting.append(asyncio.create_task(use(database.writing(project_name="shop"))))
            with pytest.raises(QuotaExceeded):
                await use(database.searching("shop"))
            await use(database.searching("another"))
            clock.now += 2
            with pytest.raises(QuotaExceeded):
                await use(database.writing(project_name="shop"))
            assert not any(call.done() for call in waiting)
        await asyncio.gather(*waiting)
    assert told == [False, True]


async def test_a_projects_writes_go_on_beside_more_searches_of_it_than_can_be_answered(database_url: str) -> None:
    async with searching(database_url, pool_size=4) as searcher:
        writer = await searcher.project()
        async with (
            searcher.database.reading(project_name=writer.project),
            searcher.database.reading(project_name=writer.project),
        ):
            searches = [searcher.search(writer.project) for _ in range(20)]
            assert await writer.send(*map(writer.request, range(1, 30))) == [INDEXED] * 29
            assert not any(search.done() for search in searches)
        assert all([(await search).hits for search in searches])


async def test_a_projects_searches_go_on_beside_more_writes_of_it_than_can_be_made(
    database_url: str, lock_holder: LockHolder
) -> None:
    """Of the four connections, one waits in PostgreSQL for the project's row, and the other writers for that one."""
    async with searching(database_url, pool_size=4) as searcher:
        writer = await searcher.project()
        await lock_holder.lock(writer.project)
        writes = [asyncio.create_task(writer.send(writer.request(number))) for number in range(1, 11)]
        await lock_holder.until_waiting(1)
        for _ in range(20):
            assert (await searcher.search(writer.project)).hits
        assert not any(write.done() for write in writes)
        await lock_holder.unlock()
        assert await asyncio.gather(*writes) == [[INDEXED]] * 10


async def test_a_stream_of_images_and_overloading_searches_of_its_project_both_go_on(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twelve searches at a time, two are made, four may wait, and the others are refused; no image is."""
    monkeypatch.setattr(admission, "MAX_WAITING", 4)
    async with searching(database_url, pool_size=4) as searcher:
        writer = await searcher.project()
        searches, images = (Traffic(searcher, writer.project) for _ in range(2))
        tasks = [asyncio.create_task(searches.search()) for _ in range(12)]
        tasks.append(asyncio.create_task(images.write()))
        for _ in range(2):
            found, acknowledged = searches.found + 50, len(images.acknowledged) + 100
            await until(lambda: asyncio.sleep(0, searches.found > found and len(images.acknowledged) > acknowledged))  # noqa: B023 - called within the turn
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert (searches.codes, images.codes) == ({grpc.StatusCode.RESOURCE_EXHAUSTED}, set())
        await assert_stored(writer, database_url, images.acknowledged)


async def test_a_call_that_would_wait_too_long_for_any_connection_is_refused_whatever_it_asks(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls on many projects, and on none, share the connections: here others have them all."""
    clock = Clock()
    monkeypatch.setattr(admission, "time", clock)
    async with searching(database_url, pool_size=2) as searcher:
        writer = await searcher.project()
        async with searcher.database.reading(project_name=writer.project), searcher.database.connection():
            clock.now += 5  # in which no call ended
            for waited, remaining in (
                (4, math.inf),  # it waited before the event loop took it, of the 6 s that without a deadline it may
                (0, 10),  # of which it may wait for three
            ):
                rpc.note_wait(waited)
                token = rpc._DEADLINE.set(time.monotonic() + remaining)
                for project, refusal in ((writer.project, QuotaExceeded), ("another", Overloaded)):
                    with pytest.raises(refusal):
                        searcher.database.check_room(project)
                for further, refusal in (
                    (searcher.database.reading(project_name=writer.project), QuotaExceeded),
                    (searcher.database.connection(), Overloaded),
                ):
                    with pytest.raises(refusal):
                        async with asyncio.timeout(20), further:
                            pass
                rpc._DEADLINE.reset(token)
            rpc.note_wait(0)
        async with searcher.database.connection(), searcher.database.connection():
            clock.now += 5
            with pytest.raises(grpc.aio.AioRpcError) as caught:  # its caller waits for less long than others
                await searcher.stub.ListProjects(wire.ListProjectsRequest(), timeout=10)
            assert errors.from_rpc(caught.value, "").reason == "OVERLOADED"
            clock.now += 5
            for call in (
                searcher.search(writer.project),
                searcher.stub.Search(wire.SearchRequest(project=writer.project, limit=-1)),  # before it is looked at
                searcher.stub.ListProjects(wire.ListProjectsRequest()),
                delete(writer),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call
                assert errors.from_rpc(caught.value, "").retry_after
                assert errors.from_rpc(caught.value, "").reason == "OVERLOADED"
            assert await searcher.serves(), "to be overloaded is no outage"
            assert searcher.value("serving") == 1
            assert searcher.value("refused_total", reason="OVERLOADED") == 5
            waiting = searcher.search(writer.project, timeout=60)  # 20 s are assumed at most
            assert await code_of(waiting) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await searcher.search(writer.project)).hits


def assert_busy(error: grpc.aio.AioRpcError, project: str) -> None:
    status = rpc_status.from_call(error)
    info, quota, retry = error_details_pb2.ErrorInfo(), error_details_pb2.QuotaFailure(), error_details_pb2.RetryInfo()
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert all(status.details[number].Unpack(detail) for number, detail in enumerate((info, quota, retry)))
    assert info.reason == "PROJECT_BUSY"
    assert quota.violations[0].subject == f"project:{project}"
    assert retry.retry_delay.ToMilliseconds() > 0
