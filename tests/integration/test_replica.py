"""Searches on a real streaming replica: while it is fresh, and never at the price of an answer."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher import server as searcher_server
from lookalike_searcher.config import Config
from lookalike_searcher.database import pool as database_module
from lookalike_searcher.database.migration import UnusableDatabase
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.replica import following
from lookalike_searcher.errors import DatabaseUnavailable
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.search import rank
from lookalike_searcher.search.read_routing import Reads
from lookalike_searcher.search.types import Ranking
from tests import postgres
from tests.indexer import Writer, sha256, vector
from tests.polling import until
from tests.postgres import Postgres

SPACE = "space"
ANY_LAG = 1e6


@pytest.fixture(scope="module")
def primary() -> Iterator[Postgres]:
    with postgres.primary() as server:
        yield server


@pytest.fixture(scope="module")
def replica(primary: Postgres) -> Iterator[Postgres]:
    """It gives way to what it replays at once."""
    with postgres.replica(primary, "max_standby_streaming_delay=0", "max_standby_archive_delay=0") as server:
        yield server


@dataclass
class Shop:
    """A project, on a searcher that has a replica."""

    writer: Writer
    metrics: Metrics
    reads: Reads
    replica_url: str

    async def search(self, seed: int = 0) -> list[bytes]:
        """The hits of a search by an image of the project."""
        found = await self.writer.stub.Search(wire.SearchRequest(project=self.writer.project, sha256=sha256(seed)))
        return [hit.sha256 for hit in found.hits]

    async def search_until(self, server: str) -> None:
        """Search until a search is made on that server. All of them must find the image."""
        before = self.made_on(server)
        while self.made_on(server) == before:
            assert (await self.search())[0] == sha256(0)

    def made_on(self, server: str) -> float:
        return float(self.metrics.reads.labels(server)._value.get())

    async def replay(self, *, paused: bool) -> None:
        """Let the replica replay no more; or go on."""
        connection = await asyncpg.connect(self.replica_url)
        await connection.execute(f"SELECT pg_wal_replay_{'pause' if paused else 'resume'}()")
        expected = "paused" if paused else "not paused"
        await until(lambda: connection.fetchval("SELECT pg_get_wal_replay_pause_state() = $1", expected))
        await connection.close()


@asynccontextmanager
async def shop(primary: Postgres, replica: Postgres, max_lag: float = ANY_LAG) -> AsyncIterator[Shop]:
    config = Config(
        data_dir=Path("unused"), port=0, grace=10, read_database_url=replica.url, max_replica_lag=max_lag, pool_size=4
    )
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        database = await enter(database_module.connect(primary.url, pool_size=4, command_timeout=30))
        followed = await enter(following(config, database, metrics))
        server = await enter(searcher_server.serving(config, database, metrics=metrics, replica=followed))
        stub = SearcherServiceStub(await enter(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")))
        name = f"shop-{uuid.uuid4().hex[:12]}"
        await stub.CreateProject(wire.CreateProjectRequest(name=name, space=SPACE))
        writer = Writer(stub, name, SPACE)
        await writer.send(*(writer.request(seed) for seed in range(5)))
        yield Shop(writer, metrics, Reads(database, metrics, followed), replica.url)


async def test_searches_are_made_on_the_replica_once_it_has_caught_up(primary: Postgres, replica: Postgres) -> None:
    async with shop(primary, replica, max_lag=5) as made:
        await made.search_until("replica")
        before = made.made_on("primary")
        found = await made.writer.stub.Search(
            wire.SearchRequest(project=made.writer.project, embedding=common.Embedding(space=SPACE, values=vector(3)))
        )
        assert found.hits[0].sha256 == sha256(3)
        assert len(found.hits) == 5
        assert made.made_on("primary") == before
        assert made.metrics.registry.get_sample_value("lookalike_searcher_replica_lag_seconds") == 0


async def test_what_the_replica_does_not_know_yet_is_asked_of_the_primary(primary: Postgres, replica: Postgres) -> None:
    async with shop(primary, replica) as made:
        await made.search_until("replica")
        await made.replay(paused=True)
        await made.writer.send(made.writer.request(99))
        assert (await made.search(99))[0] == sha256(99)
        assert (await made.search(1))[0] == sha256(1)
        await made.writer.stub.CreateSpace(wire.CreateSpaceRequest(project=made.writer.project, space="next"))
        in_next = common.Embedding(space="next", values=vector(1))
        asked = wire.SearchRequest(project=made.writer.project, space="next", embedding=in_next)
        assert list((await made.writer.stub.Search(asked)).hits) == []
        await made.replay(paused=False)


async def test_a_replica_that_falls_behind_is_not_searched_until_it_has_caught_up(
    primary: Postgres, replica: Postgres
) -> None:
    async with shop(primary, replica, max_lag=0.5) as made:
        await made.search_until("replica")
        await made.replay(paused=True)
        await made.writer.send(made.writer.request(99))
        await made.search_until("primary")
        before = made.made_on("replica")
        assert sha256(99) in await made.search()
        assert made.made_on("replica") == before
        await made.replay(paused=False)
        await made.search_until("replica")


async def test_no_search_fails_when_the_replica_is_killed_and_it_is_used_again(
    primary: Postgres, replica: Postgres
) -> None:
    async with shop(primary, replica) as made:
        await made.search_until("replica")
        searching = [asyncio.create_task(made.search_until("primary")) for _ in range(4)]
        await asyncio.to_thread(replica.kill)
        await asyncio.gather(*searching)
        await asyncio.to_thread(replica.start)
        await made.search_until("replica")


async def test_a_search_that_hangs_on_the_replica_is_made_on_the_primary(primary: Postgres, replica: Postgres) -> None:
    async with shop(primary, replica) as made:
        await made.search_until("replica")
        with replica.frozen():
            await made.search_until("primary")
        await made.search_until("replica")


async def test_a_search_that_the_replica_admits_and_then_fails_counts_once_against_its_rate(
    primary: Postgres, replica: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases: list[Database] = []
    ranked = rank.rank

    async def lost_once(database: Database, *asked: Any, **options: Any) -> Ranking:  # noqa: ANN401 - as it is called
        found = await ranked(database, *asked, **options)
        databases.append(database)
        if len(databases) == 1:
            raise DatabaseUnavailable
        return found

    async with shop(primary, replica) as made:
        await made.search_until("replica")
        name = made.writer.project
        limits = wire.Limits(searches_per_second=0.1)  # one search at a time
        await made.writer.stub.UpdateProject(wire.UpdateProjectRequest(name=name, limits=limits))
        told = "SELECT searches_per_second > 0 FROM lookalike_project WHERE name = $1"
        connection = await asyncpg.connect(made.replica_url)
        await until(lambda: connection.fetchval(told, name))
        await connection.close()
        monkeypatch.setattr(rank, "rank", lost_once)
        asked = wire.SearchRequest(project=name, embedding=common.Embedding(space=SPACE, values=vector(3)))
        assert (await made.writer.stub.Search(asked)).hits
        assert len(set(databases)) == 2


async def test_a_searcher_starts_without_its_replica_and_finds_it_later(primary: Postgres, replica: Postgres) -> None:
    await asyncio.to_thread(replica.stop)
    async with shop(primary, replica) as made:
        await made.search_until("primary")
        await asyncio.to_thread(replica.start)
        await made.search_until("replica")


async def test_searches_go_on_while_the_primary_is_away_for_less_than_the_lag_that_is_allowed(
    primary: Postgres, replica: Postgres
) -> None:
    async with shop(primary, replica) as made:
        await made.search_until("replica")
        await asyncio.to_thread(primary.kill)
        assert (await made.search())[0] == sha256(0)
        await asyncio.to_thread(primary.start)


@pytest.mark.parametrize("conflict", ["VACUUM doomed", "DROP TABLE doomed"])
@pytest.mark.parametrize("statement", ["SELECT pg_sleep(0.01)", "SELECT pg_sleep(60)"])
async def test_a_search_that_replay_ends_is_made_on_the_primary(
    primary: Postgres, replica: Postgres, conflict: str, statement: str
) -> None:
    """What it sees is vacuumed away, or dropped, on the primary: between two of its statements, or in one."""
    async with shop(primary, replica) as made:
        other, copy = await asyncpg.connect(primary.url), await asyncpg.connect(replica.url)
        await other.execute("CREATE TABLE doomed AS SELECT * FROM generate_series(1, 1000)")
        await until(lambda: copy.fetchval("SELECT to_regclass('doomed') IS NOT NULL"))
        await made.search_until("replica")
        seen: list[Database] = []

        async def ask(database: Database) -> str:
            seen.append(database)
            if len(seen) == 2:
                return "the primary's"
            async with database.reading() as connection:
                await connection.execute("SELECT FROM doomed")
                await other.execute("DELETE FROM doomed")
                await other.execute(conflict)
                while True:
                    await connection.execute(statement)

        assert await made.reads.ask(ask) == "the primary's"
        assert seen[0] is not seen[1]
        await other.execute("DROP TABLE IF EXISTS doomed")
        await other.close()
        await copy.close()


async def test_what_is_no_replica_of_the_primary_is_refused_at_the_start(
    primary: Postgres, replica: Postgres, database: Database
) -> None:
    config = Config(data_dir=Path("unused"), read_database_url=primary.url)
    async with database_module.connect(primary.url, pool_size=2, command_timeout=30) as own:
        with pytest.raises(UnusableDatabase, match="not in recovery"):
            async with following(config, own, Metrics()):
                pass
    with pytest.raises(UnusableDatabase, match="of another server"):
        async with following(replace(config, read_database_url=replica.url), database, Metrics()):
            pass
