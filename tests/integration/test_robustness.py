"""Deadlines, cancelled calls, and a PostgreSQL that goes away."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import grpc
import pytest

from lookalike import errors
from lookalike_searcher.database import pool as database_module
from lookalike_searcher.database.pool import Database
from lookalike_searcher.errors import DatabaseTimeout, DatabaseUnavailable
from lookalike_searcher.tuning.load import Load
from lookalike_serving import rpc
from tests import postgres
from tests.indexer import INDEXED, Writer
from tests.lock_holder import LockHolder
from tests.own_searcher import SPACE, Traffic, assert_stored, code_of, delete, searching
from tests.polling import until
from tests.postgres import Postgres


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


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that may be killed."""
    with postgres.primary() as server:
        yield server


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
