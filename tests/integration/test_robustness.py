"""Deadlines, cancelled calls, a PostgreSQL that goes away, a full pool, a greedy project."""

import asyncio
import gc
import math
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from lookalike import errors
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher import server as searcher_server
from lookalike_searcher.config import Config
from lookalike_searcher.database import admission
from lookalike_searcher.database import pool as database_module
from lookalike_searcher.database.pool import Database
from lookalike_searcher.errors import DatabaseTimeout, DatabaseUnavailable, Overloaded
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.quota import QuotaExceeded
from lookalike_searcher.tuning.load import Load
from lookalike_serving import rpc
from tests import postgres
from tests.indexer import INDEXED, Writer, sha256, vector
from tests.lock_holder import LockHolder
from tests.polling import until
from tests.postgres import Postgres
from tests.refused_stream import STATUS_LOST

SPACE = "space"


@dataclass
class Searcher:
    """A searcher of the test's own, with a client."""

    database: Database
    metrics: Metrics
    stub: SearcherServiceStub
    health: health_pb2_grpc.HealthStub
    projects: list[str] = field(default_factory=list)

    async def project(self) -> Writer:
        """A new project with an image; it goes with the searcher."""
        name = f"robust-{uuid.uuid4().hex[:12]}"
        self.projects.append(name)
        await self.stub.CreateProject(wire.CreateProjectRequest(name=name, space=SPACE))
        writer = Writer(self.stub, name, SPACE)
        assert await writer.send(writer.request(0)) == [INDEXED]
        return writer

    def search(self, project: str, **call: float) -> "grpc.aio.UnaryUnaryCall[Any, Any]":
        query = common.Embedding(space=SPACE, values=vector(0))
        return self.stub.Search(wire.SearchRequest(project=project, embedding=query), **call)

    def value(self, metric: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"lookalike_searcher_{metric}", labels) or 0.0

    async def serves(self) -> bool:
        answer = await self.health.Check(health_pb2.HealthCheckRequest(service=searcher_server.SERVICE))
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@asynccontextmanager
async def searching(url: str, *, pool_size: int = 4, command_timeout: float = 30) -> AsyncIterator[Searcher]:
    config = Config(data_dir=Path("unused"), port=0, grace=1, probe_interval=0.1, maintenance_interval=0.1)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        database = await enter(
            database_module.connect(url, pool_size=pool_size, command_timeout=command_timeout, metrics=metrics)
        )
        server = await enter(searcher_server.serving(config, database, metrics=metrics))
        channel = await enter(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}"))
        searcher = Searcher(database, metrics, SearcherServiceStub(channel), health_pb2_grpc.HealthStub(channel))
        yield searcher
        for project in searcher.projects:
            await searcher.stub.DeleteProject(wire.DeleteProjectRequest(name=project))


def delete(writer: Writer, **call: float) -> "grpc.aio.UnaryUnaryCall[Any, Any]":
    """A short write."""
    return writer.stub.DeleteImages(wire.DeleteImagesRequest(project=writer.project, uris=["nothing"]), **call)


async def code_of(call: Awaitable[object]) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


async def number_of_connection(database: Database) -> int:
    """What tells the connection from others that the pool's next call gets."""
    async with database.connection() as connection:
        return connection.get_server_pid()


async def test_the_callers_deadline_is_postgresqls_too(database: Database) -> None:
    milliseconds = "SELECT setting::integer FROM pg_settings WHERE name = 'statement_timeout'"
    token = rpc._DEADLINE.set(time.monotonic() + 5)
    async with database.reading() as connection:
        assert 0 < await connection.fetchval(milliseconds) <= 5_000
    rpc._DEADLINE.reset(token)
    async with database.reading() as connection:
        assert await connection.fetchval(milliseconds) == 30_000


async def test_a_write_that_waits_for_another_ends_at_its_deadline_also_in_postgresql(
    database_url: str, lock_holder: LockHolder
) -> None:
    async with searching(database_url) as searcher:
        writer = await searcher.project()
        await lock_holder.lock(writer.project)
        assert await code_of(delete(writer, timeout=0.3)) is grpc.StatusCode.DEADLINE_EXCEEDED
        await lock_holder.until_waiting(0)
        await lock_holder.unlock()
        await delete(writer)


async def test_a_statement_that_takes_too_long_is_a_timeout_to_a_caller_without_deadline(
    database_url: str, lock_holder: LockHolder
) -> None:
    async with searching(database_url) as searcher, searching(database_url, command_timeout=1) as hasty:
        writer = await searcher.project()
        await lock_holder.lock(writer.project)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await delete(Writer(hasty.stub, writer.project, SPACE))
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert errors.from_rpc(caught.value, "searcher").reason == "DATABASE_TIMEOUT"
        await lock_holder.unlock()


async def test_a_lock_timeout_that_an_operator_has_set_is_a_timeout(
    database: Database, lock_holder: LockHolder
) -> None:
    await lock_holder.connection.execute("BEGIN; SELECT pg_advisory_xact_lock(68771, 1)")
    with pytest.raises(DatabaseTimeout):
        async with database.writing() as connection:
            await connection.execute("SET LOCAL lock_timeout = 1; SELECT pg_advisory_xact_lock(68771, 1)")
    await lock_holder.connection.execute("ROLLBACK")


async def test_who_is_chosen_to_end_a_deadlock_may_try_again(database: Database) -> None:
    both_hold = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with database.writing() as connection:
            await connection.execute(f"SELECT pg_advisory_xact_lock(68771, {first})")
            await both_hold.wait()
            await connection.execute(f"SELECT pg_advisory_xact_lock(68771, {second})")

    results = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    assert {type(result) for result in results} == {DatabaseUnavailable, type(None)}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_call_ends_its_statement_in_postgresql_and_leaves_its_connection_usable(
    database_url: str, lock_holder: LockHolder, *, stream: bool
) -> None:
    async with searching(database_url, pool_size=1) as searcher:
        writer = await searcher.project()
        number = await number_of_connection(searcher.database)
        await lock_holder.lock(writer.project)
        call = asyncio.ensure_future(writer.send(writer.request(1))) if stream else delete(writer)
        await lock_holder.until_waiting(1)
        call.cancel()
        await lock_holder.until_waiting(0)
        await lock_holder.unlock()
        assert await number_of_connection(searcher.database) == number
        assert await writer.counts() == (1, 1)
        assert await writer.send(writer.request(2)) == [INDEXED]


async def test_a_transaction_that_is_cancelled_twice_is_not_left_open(database_url: str) -> None:
    """Once in its statement, and once while it is rolled back."""
    async with database_module.connect(database_url, pool_size=1, command_timeout=30) as database:
        begun = asyncio.Event()

        async def work() -> None:
            async with database.writing() as connection:
                begun.set()
                await connection.execute("SELECT pg_sleep(600)")

        task = asyncio.create_task(work())
        await begun.wait()
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.connection() as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("SELECT 1") == 1


async def test_what_was_read_counts_though_the_connection_is_lost_before_the_commit(
    database_url: str, lock_holder: LockHolder
) -> None:
    async with database_module.connect(database_url, pool_size=1, command_timeout=30) as database:
        async with database.reading() as connection:
            lost = connection.get_server_pid()
            await lock_holder.connection.execute(f"SELECT pg_terminate_backend({lost}, 10000)")
        assert await number_of_connection(database) != lost


async def test_a_call_waits_for_a_connection_no_longer_than_its_deadline(database_url: str) -> None:
    async with searching(database_url, pool_size=1) as searcher:
        writer = await searcher.project()
        waits = "lookalike_searcher_pool_wait_seconds_count"
        async with searcher.database.connection():
            before = searcher.metrics.registry.get_sample_value(waits) or 0
            assert await code_of(searcher.search(writer.project, timeout=0.3)) is grpc.StatusCode.DEADLINE_EXCEEDED
            call = searcher.search(writer.project)
            await until(lambda: asyncio.sleep(0, not call.done()))
        assert len((await call).hits) == 1
        assert (searcher.metrics.registry.get_sample_value(waits) or 0) >= before + 2


async def test_the_pool_and_the_event_loop_are_measured(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop's lag also for those who learn when there is no load."""
    lags = list[float]()
    monkeypatch.setattr(Load, "observe", lambda _, lag: lags.append(lag))
    async with searching(database_url, pool_size=3) as searcher:

        def connections(state: str) -> float | None:
            name = "lookalike_searcher_pool_connections"
            return searcher.metrics.registry.get_sample_value(name, {"state": state})

        async with searcher.database.connection(), searcher.database.connection(), searcher.database.connection():
            assert (connections("open"), connections("idle")) == (3, 0)
        await until(lambda: asyncio.sleep(0, searcher.value("loop_lag_seconds_count") and bool(lags)))


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


@dataclass
class Clock:
    """What time it is for those who admit calls."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


def assert_busy(error: grpc.aio.AioRpcError, project: str) -> None:
    status = rpc_status.from_call(error)
    info, quota, retry = error_details_pb2.ErrorInfo(), error_details_pb2.QuotaFailure(), error_details_pb2.RetryInfo()
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert all(status.details[number].Unpack(detail) for number, detail in enumerate((info, quota, retry)))
    assert info.reason == "PROJECT_BUSY"
    assert quota.violations[0].subject == f"project:{project}"
    assert retry.retry_delay.ToMilliseconds() > 0


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that may be killed."""
    with postgres.primary() as server:
        yield server


@dataclass
class Traffic:
    """Writers and searches that go on whatever happens, and what became of them."""

    searcher: Searcher
    project: str
    acknowledged: set[int] = field(default_factory=set)
    codes: set[grpc.StatusCode] = field(default_factory=set)
    found: int = 0
    _next: int = 1

    async def write(self) -> None:
        """Send images, thirty to a stream, all with numbers of their own."""
        while True:
            first = self._next
            self._next += 30
            try:
                async for answer in self.searcher.stub.IndexImages(self._requests(first)):
                    assert answer.indexed.status == INDEXED
                    self.acknowledged.add(answer.sequence)
            except grpc.aio.AioRpcError as error:
                self._note(error)

    async def search(self) -> None:
        """Search by the first image."""
        while True:
            try:
                self.found += len((await self.searcher.search(self.project)).hits) > 0
            except grpc.aio.AioRpcError as error:
                self._note(error)

    async def _requests(self, first: int) -> AsyncIterator[wire.IndexImagesRequest]:
        writer = Writer(self.searcher.stub, self.project, SPACE)
        for seed in range(first, first + 30):
            made = writer.request(seed)
            made.project, made.sequence = self.project, seed
            yield made

    def _note(self, error: grpc.aio.AioRpcError) -> None:
        if error.details() != STATUS_LOST:
            self.codes.add(error.code())

    async def until_more(self) -> None:
        """Until images have been acknowledged, and searches answered, anew."""
        acknowledged, found = len(self.acknowledged) + 100, self.found + 10
        await until(lambda: asyncio.sleep(0, len(self.acknowledged) > acknowledged and self.found > found))


def restart_fast(server: Postgres) -> None:
    server.stop()
    server.start()


def kill_and_start(server: Postgres) -> None:
    server.kill()
    server.start()


@pytest.fixture
async def without_forgotten_copies() -> AsyncIterator[None]:
    """Unheard of what asyncpg forgets: the future of a COPY that it begins when the connection has just been ended."""
    loop = asyncio.get_running_loop()
    strict = loop.get_exception_handler()
    assert strict

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), asyncpg.ConnectionDoesNotExistError):
            strict(loop, context)

    loop.set_exception_handler(handle)
    yield
    gc.collect()
    loop.set_exception_handler(strict)


@pytest.mark.usefixtures("without_forgotten_copies")
@pytest.mark.parametrize("restart", [restart_fast, kill_and_start])
async def test_a_restart_of_postgresql_loses_nothing_that_was_acknowledged_and_heals_by_itself(
    own_postgres: Postgres, restart: Callable[[Postgres], None]
) -> None:
    async with searching(own_postgres.url) as searcher:
        writer = await searcher.project()
        traffic = Traffic(searcher, writer.project)
        tasks = [asyncio.create_task(traffic.write()) for _ in range(3)]
        tasks += [asyncio.create_task(traffic.search()) for _ in range(3)]
        for _ in range(3):
            await traffic.until_more()
            await asyncio.to_thread(restart, own_postgres)
        await traffic.until_more()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert traffic.codes <= {grpc.StatusCode.UNAVAILABLE}
        await assert_stored(writer, own_postgres.url, traffic.acknowledged)


async def assert_stored(writer: Writer, url: str, seeds: set[int]) -> None:
    """All of them are there, once, and the project's count is right."""
    hashes = [sha256(seed) for seed in seeds]
    for start in range(0, len(hashes), 10_000):
        asked = hashes[start : start + 10_000]
        checked = await writer.stub.CheckImages(wire.CheckImagesRequest(project=writer.project, sha256s=asked))
        assert len(checked.stored_sha256s) == len(asked)
    connection = await asyncpg.connect(url)
    project_id = await connection.fetchval("SELECT id FROM lookalike_project WHERE name = $1", writer.project)
    # By one statement: the last images of a stream that was cancelled may be stored at this moment.
    row = await connection.fetchrow(
        f"SELECT (SELECT count(*) FROM p{project_id}.image), (SELECT count(*) FROM p{project_id}.image_reference),"  # noqa: S608 - a number
        f" image_count, reference_count FROM lookalike_project WHERE id = {project_id}"
    )
    await connection.close()
    assert row
    images, references, *counts = row
    assert [images, references] == counts


async def test_while_postgresql_is_away_calls_are_unavailable_and_health_says_so(own_postgres: Postgres) -> None:
    async with searching(own_postgres.url) as searcher:
        writer = await searcher.project()
        await asyncio.to_thread(own_postgres.kill)

        async def is_away() -> bool:
            return not await searcher.serves()

        await until(is_away)
        for call in (searcher.search(writer.project), delete(writer), writer.send(writer.request(1))):
            assert await code_of(call) is grpc.StatusCode.UNAVAILABLE
        await asyncio.to_thread(own_postgres.start)
        await until(searcher.serves)
        assert len((await searcher.search(writer.project)).hits) == 1
        assert await writer.send(writer.request(1)) == [INDEXED]
