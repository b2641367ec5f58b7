"""Health beside a busy event loop: slowness of the loop is not an outage, neither to the server nor to its callers."""

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike import Client
from lookalike_searcher import server as searcher_server
from lookalike_searcher.config import Config
from lookalike_searcher.database import connection as connections
from lookalike_searcher.database import pool
from lookalike_searcher.database.outage import Outage
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.probe import Probe
from lookalike_searcher.errors import DatabaseTimeout, DatabaseUnavailable
from lookalike_serving.health_probe import SLOW_IN_A_ROW
from tests.lock_holder import LockHolder

INTERVAL = 0.2
"""Seconds between two probes."""
TURNS = 6
"""Turns of the event loop between two times that it stands still: enough to judge a probe by the clock."""


async def test_a_blocked_event_loop_is_no_outage(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop stands still again and again while a probe is under way, each time for longer than one may take."""
    probes: asyncio.Queue[None] = asyncio.Queue()
    ping = database.probe.ping

    async def late_ping() -> None:
        probes.put_nowait(None)
        if probes.qsize() == 2:  # the first one is before the server listens
            for _ in range(SLOW_IN_A_ROW + 1):
                time.sleep(INTERVAL * 1.5)  # noqa: ASYNC251 - to block the loop is what this is about
                for _ in range(TURNS):
                    await asyncio.sleep(0)
        await ping()

    monkeypatch.setattr(database.probe, "ping", late_ping)
    config = Config(data_dir=Path("unused"), port=0, grace=10, maintenance_interval=3600, probe_interval=INTERVAL)
    async with (
        searcher_server.serving(config, database) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        Client(searcher=f"127.0.0.1:{server.port}") as client,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=""))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        change = asyncio.ensure_future(watch.read())
        calls = 0
        while probes.qsize() < 3 or calls < 20:  # until the next probe, which would mend what that one broke
            await client.project_page()
            calls += 1
        assert not change.done(), "the health changed"
        watch.cancel()
        change.cancel()


async def test_the_probe_waits_in_no_queue_and_replaces_a_connection_that_was_lost(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has one connection, also where several ask at once."""
    async with pool.connect(database_url, pool_size=1, command_timeout=30) as database:
        opened = noted_connections(monkeypatch)
        await asyncio.gather(*(database.probe.ping() for _ in range(3)))
        assert len(opened) == 1
        async with database.connection() as connection:  # the only one
            assert database.probe._connection
            lost = database.probe._connection.get_server_pid()
            await database.probe.ping()
            assert await connection.fetchval("SELECT pg_terminate_backend($1)", lost)
            await database.probe.ping()
            assert database.probe._connection.get_server_pid() != lost


async def test_a_probe_that_gets_no_answer_is_slow_and_begins_anew(
    database_url: str, lock_holder: LockHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time on a new connection, then on one that has answered before."""
    async with pool.connect(database_url, pool_size=1, command_timeout=30) as database:
        opened = noted_connections(monkeypatch)
        for number in (1, 2):
            async with lock_holder.connection.transaction():
                await lock_holder.connection.execute("LOCK TABLE lookalike_project IN ACCESS EXCLUSIVE MODE")
                with monkeypatch.context() as hasty, pytest.raises(DatabaseTimeout):
                    hasty.setattr(connections, "NET_SECONDS", 0.05)
                    await database.probe.ping()
            assert len(opened) == number, "it asked again at once"
            assert opened[-1].is_closed()
            await database.probe.ping()
        assert len(opened) == 3


async def test_a_probe_that_cannot_even_connect_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        probe = Probe(f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none?sslmode=disable", Outage())
        with pytest.raises(DatabaseTimeout):
            await probe.ping()


async def test_a_database_that_has_ended_opens_no_connection_for_its_probe(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it ends while one is being opened."""
    async with pool.connect(database_url, pool_size=1, command_timeout=30) as database:
        opened = noted_connections(monkeypatch, database.terminate)
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                await database.probe.ping()
        assert [connection.is_closed() for connection in opened] == [True]


def noted_connections(
    monkeypatch: pytest.MonkeyPatch, then: Callable[[], None] = lambda: None
) -> "list[asyncpg.Connection[Any]]":
    """Note the connections that are opened from now on, and do something whenever one is."""
    opened, connect = list["asyncpg.Connection[Any]"](), asyncpg.connect

    async def noted(*arguments: Any, **options: Any) -> "asyncpg.Connection[Any]":  # noqa: ANN401 - asyncpg's
        opened.append(await connect(*arguments, **options))
        then()
        return opened[-1]

    monkeypatch.setattr(asyncpg, "connect", noted)
    return opened
