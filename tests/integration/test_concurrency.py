"""Writers, deleters, searchers and listers together on the same projects, of two searchers over one database."""

import asyncio
import itertools
import logging
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher import server as searcher_server
from lookalike_searcher.config import Config
from lookalike_searcher.database import pool as database_module
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.projects import registry
from lookalike_serving.server import Server
from tests.consistency import audit
from tests.duration import SECONDS
from tests.indexer import Writer, refused, sha256
from tests.polling import until
from tests.traffic import SPACE, Traffic, entry

_SPELL = 0.5
"""Seconds after which everybody pauses, and all is checked."""
_BOTH_WAIT = "SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'advisory' AND objid::integer = $1 AND NOT granted"

pytestmark = pytest.mark.timeout(600 + 3 * SECONDS)


@pytest.fixture
async def stubs(searcher: Server, database_url: str) -> AsyncIterator[list[SearcherServiceStub]]:
    """Two searchers, each with connections of its own."""
    config = Config(data_dir=Path("unused"), port=0, grace=10, maintenance_interval=3600)
    async with (
        database_module.connect(database_url, pool_size=5, command_timeout=30) as database,
        searcher_server.serving(config, database) as other,
        grpc.aio.insecure_channel(f"127.0.0.1:{searcher.port}") as first,
        grpc.aio.insecure_channel(f"127.0.0.1:{other.port}") as second,
    ):
        yield [SearcherServiceStub(first), SearcherServiceStub(second)]


async def test_whatever_callers_do_at_once_everything_acknowledged_is_there_once(
    stubs: list[SearcherServiceStub], database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """No call fails, nobody sees half of a change, the later one of two writers wins, and the tables agree."""
    traffics = [Traffic(f"traffic-{uuid.uuid4().hex}", seed, sharded=database.sharded) for seed in range(2)]
    for traffic in traffics:
        await traffic.create(stubs[0])
    for _ in range(round(SECONDS / _SPELL)):
        end = time.monotonic() + _SPELL
        async with asyncio.TaskGroup() as group:
            for traffic, stub in itertools.product(traffics, stubs):
                group.create_task(traffic.flow(stub, end))
        for traffic in traffics:
            await traffic.check(stubs[0])
            async with database.connection() as connection:
                await audit(connection, traffic.project)
    for traffic in traffics:
        assert traffic.history.acknowledged > 10
        await stubs[0].DeleteProject(wire.DeleteProjectRequest(name=traffic.project))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_space_that_is_dropped_is_missed_by_nobody_who_did_not_ask_for_it(
    stubs: list[SearcherServiceStub], database: Database
) -> None:
    """Who comes while its table goes sees the project as it is afterwards."""
    traffic = Traffic(f"traffic-{uuid.uuid4().hex}", 0, sharded=database.sharded)
    await traffic.create(stubs[0])
    name = traffic.project
    created = await stubs[0].CreateSpace(wire.CreateSpaceRequest(project=name, space="second"))
    assert [space.name for space in created.project.spaces] == [SPACE, "second"]
    async with database.connection() as connection:
        project = await registry.read(connection, name)
        async with connection.transaction():  # as spaces.delete does, but slowly
            await connection.execute(statement("project_wait_for_readers"), project.id)
            await connection.execute(statement("space_drop", project.id, project.in_space("second").id))
            await connection.execute(statement("space_delete"), project.in_space("second").id)
            asked = asyncio.ensure_future(stubs[0].GetProject(wire.GetProjectRequest(name=name)))
            of_it = wire.SearchRequest(project=name, space="second", sha256=sha256(1000))
            searched = asyncio.ensure_future(refused(stubs[0].Search(of_it)))
            await until(lambda: connection.fetchval(_BOTH_WAIT, project.id))
        assert [space.name for space in (await asked).project.spaces] == [SPACE]
        assert (await searched).reason == "SPACE_NOT_FOUND"
    await stubs[0].DeleteProject(wire.DeleteProjectRequest(name=name))


async def test_of_streams_that_write_the_same_references_each_is_stored_in_its_order(
    stubs: list[SearcherServiceStub],
) -> None:
    """Who watches never sees a stream go back, nor half of a request; what stays is what one of them wrote last."""
    project, uris, writers = f"order-{uuid.uuid4().hex}", ("first", "second"), 4
    await stubs[0].CreateProject(wire.CreateProjectRequest(name=project, space=SPACE))
    end, last = time.monotonic() + SECONDS, dict.fromkeys(range(writers), -1)

    async def write(number: int) -> None:
        """Images of which each is younger than the one before, two under way at once."""
        call, images = stubs[number % 2].IndexImages(), itertools.count(number, writers)
        while time.monotonic() < end:
            for image in itertools.islice(images, 2):
                entries = [entry((uri, ""), image) for uri in uris]
                await call.write(wire.IndexImagesRequest(sequence=image, project=project, entries=entries))
                last[number] = image
            assert (await call.read()).sequence == last[number] - writers
            assert (await call.read()).sequence == last[number]
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF

    async def seen(stub: SearcherServiceStub) -> int:
        """The image that both references show."""
        listed = (await stub.ListImages(wire.ListImagesRequest(project=project))).images
        shown = [image.sha256 for image in listed for _ in image.references]
        assert len(shown) == 2
        [found] = set(shown)
        return next(image for image in itertools.count() if sha256(image) == found)

    async def watch() -> None:
        youngest = dict(last)
        for stub in itertools.cycle(stubs):
            if time.monotonic() > end:
                return
            image = await seen(stub)
            assert image >= youngest[image % writers]
            youngest[image % writers] = image

    async with asyncio.TaskGroup() as group:
        await Writer(stubs[0], project, SPACE).send(*(Writer(stubs[0], project, SPACE).request(0, uri) for uri in uris))
        for number in range(writers):
            group.create_task(write(number))
        group.create_task(watch())
    assert await seen(stubs[0]) in last.values()
    await stubs[0].DeleteProject(wire.DeleteProjectRequest(name=project))
