"""Behind PgBouncer in transaction mode, with fewer connections to PostgreSQL than clients want."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import asyncpg
import grpc
import pytest

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher import server as searcher_server
from lookalike_searcher.config import Config
from lookalike_searcher.database import pool as database_module
from lookalike_searcher.database.pool import Database
from lookalike_searcher.indexes.maintenance import Maintenance
from lookalike_searcher.metrics import Metrics
from tests import postgres
from tests.indexer import INDEXED, Writer, sha256, vector

SPACE = "space"
IMAGES = 600
CONNECTIONS = 3
CONFIG = Config(data_dir=Path("unused"), port=0, grace=10, exact_threshold=100, build_patience=0)


@pytest.fixture(scope="module")
def pooler_url(database_url: str) -> Iterator[str]:
    with postgres.pooler(database_url, size=CONNECTIONS) as url:
        yield url


@pytest.fixture(scope="module")
async def pooled(pooler_url: str) -> AsyncIterator[Database]:
    """It wants more connections than there are."""
    async with database_module.connect(pooler_url, pool_size=10, command_timeout=30) as database:
        yield database


@pytest.fixture(scope="module")
async def stub(pooled: Database) -> AsyncIterator[SearcherServiceStub]:
    """Its own maintenance looks for work once, and finds none."""
    async with AsyncExitStack() as stack:
        idle = replace(CONFIG, exact_threshold=1_000_000, maintenance_interval=3600)
        server = await stack.enter_async_context(searcher_server.serving(idle, pooled))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}"))
        yield SearcherServiceStub(channel)


@pytest.fixture
async def writer(stub: SearcherServiceStub) -> AsyncIterator[Writer]:
    """An empty project."""
    name = f"pooled-{uuid.uuid4().hex[:12]}"
    await stub.CreateProject(wire.CreateProjectRequest(name=name, space=SPACE))
    yield Writer(stub, name, SPACE)
    await stub.DeleteProject(wire.DeleteProjectRequest(name=name))


def asked(writer: Writer, seed: int, **more: object) -> wire.SearchRequest:
    embedding = common.Embedding(space=SPACE, values=vector(seed))
    return wire.SearchRequest(project=writer.project, embedding=embedding, **more)


async def test_a_pooler_is_noticed(pooler_url: str, database_url: str) -> None:
    for url, expected in ((pooler_url, True), (database_url, False)):
        connection = await asyncpg.connect(url, statement_cache_size=0)
        async with connection.transaction():
            assert await database_module.connections.is_pooled(connection) is expected
        await connection.close()


async def test_many_clients_do_all_there_is_to_do_and_leave_nothing_behind(
    stub: SearcherServiceStub, writer: Writer, pooled: Database, pooler_url: str
) -> None:
    before = await state_of_connections(pooler_url)
    everything = [writer.request(seed, product=f"p{seed % 7}", labels={"n": str(seed % 3)}) for seed in range(IMAGES)]
    shares = [everything[start::8] for start in range(8)]
    for statuses in await asyncio.gather(*(writer.send(*share) for share in shares)):
        assert set(statuses) == {INDEXED}
    await asyncio.gather(*(rounds(stub, writer, client, wire.SEARCH_MODE_EXACT) for client in range(8)))
    async with pooled.writing() as connection:  # as if no writer had come for long
        await connection.execute(
            "UPDATE lookalike_project SET update_time = '-infinity' WHERE name = $1", writer.project
        )
    await Maintenance(CONFIG, pooled, Metrics()).once()
    project = (await stub.GetProject(wire.GetProjectRequest(name=writer.project))).project
    assert project.spaces[0].index.state == wire.INDEX_STATE_READY
    await asyncio.gather(*(rounds(stub, writer, client, wire.SEARCH_MODE_APPROXIMATE) for client in range(8)))
    deleted = await stub.DeleteImages(wire.DeleteImagesRequest(project=writer.project, products=["p3"]))
    assert deleted.deleted_image_count == len(range(3, IMAGES, 7))
    assert await state_of_connections(pooler_url) == before


async def rounds(stub: SearcherServiceStub, writer: Writer, client: int, mode: int) -> None:
    """What a client asks for: searches of all kinds, lists, projects."""
    for seed in range(client, IMAGES, 60):
        found = await stub.Search(asked(writer, seed, sha256=sha256(seed), limit=30))
        assert (found.hits[0].sha256, found.mode, len(found.hits)) == (sha256(seed), mode, 30)
        chosen = wire.Filter(products=["p3"], labels=[wire.LabelGroup(any_of=[wire.Label(name="n", value="1")])])
        filtered = await stub.Search(asked(writer, seed, filter=chosen, limit=1000))
        assert len(filtered.hits) == sum(number % 7 == 3 and number % 3 == 1 for number in range(IMAGES))
        page = await stub.ListImages(wire.ListImagesRequest(project=writer.project, page_size=50))
        assert len(page.images) == 50
        got = await stub.GetImage(wire.GetImageRequest(project=writer.project, sha256=sha256(seed)))
        assert got.image.references[0].product == f"p{seed % 7}"
        project = (await stub.GetProject(wire.GetProjectRequest(name=writer.project))).project
        assert project.image_count == IMAGES


async def test_vacuum_and_a_second_space_work_behind_it(
    stub: SearcherServiceStub, writer: Writer, pooled: Database
) -> None:
    await writer.send(*(writer.request(seed) for seed in range(IMAGES)))
    async with pooled.writing() as connection:
        await connection.execute(
            "UPDATE lookalike_project SET update_time = '-infinity', deleted_since_vacuum = 1000000 WHERE name = $1",
            writer.project,
        )
    metrics = Metrics()
    maintenance = Maintenance(CONFIG, pooled, metrics)
    for job in ("build", "vacuum"):
        await maintenance.once()
        assert metrics.maintenance.labels(job, "done")._value.get() >= 1
        assert metrics.maintenance.labels(job, "failed")._value.get() == 0
    await stub.CreateSpace(wire.CreateSpaceRequest(project=writer.project, space="next"))
    await stub.DeleteSpace(wire.DeleteSpaceRequest(project=writer.project, space="next"))
    found = await stub.Search(asked(writer, 7))
    assert found.hits[0].sha256 == sha256(7)


async def state_of_connections(url: str) -> list[tuple[object, ...]]:
    """What clients have left in the connections to PostgreSQL: settings, prepared statements, locks."""
    clients = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(CONNECTIONS)]
    for client in clients:
        await client.execute("BEGIN")
    sql = """
        SELECT (SELECT array_agg(name || '=' || setting ORDER BY name) FROM pg_settings WHERE source = 'session'),
               (SELECT count(*) FROM pg_prepared_statements),
               (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')
    """
    found = [tuple(await client.fetchrow(sql)) for client in clients]
    for client in clients:
        await client.execute("COMMIT")
        await client.close()
    return found
