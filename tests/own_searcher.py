"""A searcher of the test's own, what is asked of it, and what must be true of it in the end."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher import server as searcher_server
from lookalike_searcher.config import Config
from lookalike_searcher.database import pool as database_module
from lookalike_searcher.database.pool import Database
from lookalike_searcher.metrics import Metrics
from tests.indexer import INDEXED, Writer, sha256, vector
from tests.polling import until
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
