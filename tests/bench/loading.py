"""Filling the catalogue that is searched, and waiting for its index."""

import asyncio
import time
from contextlib import suppress
from typing import Final

import grpc

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.database.statement import schema_of
from lookalike_searcher.projects import registry
from tests.bench.dataset import Dataset
from tests.bench.figures import Figure
from tests.bench.searcher_process import Site, index
from tests.bench.searches import PROJECT

_PART: Final = 50_000
"""Images whose messages are in memory at once."""
_LOOK_SECONDS: Final = 0.5


async def load(site: Site, dataset: Dataset, project: str) -> float:
    """Store the whole dataset in a new project: the seconds that the stream takes."""
    await site.stub.CreateProject(dataset.create_project(project))
    seconds = 0.0
    for start in range(0, len(dataset), _PART):
        requests = dataset.requests(project, range(start, min(start + _PART, len(dataset))))
        seconds += await index(site.stub, requests)
    return seconds


async def measure(site: Site, dataset: Dataset) -> list[Figure]:
    """Store the whole dataset, then wait until it is searched through its index."""
    building = asyncio.create_task(_build_began(site))
    seconds = await load(site, dataset, PROJECT)
    stored = time.perf_counter()
    ready, found = await site.ready(PROJECT)
    began = building.result() if building.done() else ready
    building.cancel()
    tables, hnsw = await _bytes(site)
    return [
        Figure("load_seconds", seconds, f"IndexImages of {len(dataset):,}; a large project's index is built beside it"),
        Figure("ready_seconds", ready - stored, "from the last acknowledgement until searches go through the index"),
        Figure(
            "build_minutes", (ready - began) / 60, "from the build's begin, which may be during the import, until then"
        ),
        Figure("ef_search", float(found.ef_search), "hnsw.ef_search that the searcher chose for 10 hits"),
        Figure(
            "bytes_per_image",
            tables / len(dataset),
            f"tables and all indexes, of which HNSW {hnsw / len(dataset):,.0f}",
        ),
    ]


async def _build_began(site: Site) -> float:
    """When the build of the project's index was first seen to run."""
    while True:
        with suppress(grpc.aio.AioRpcError):  # there is no such project yet
            found = (await site.stub.GetProject(wire.GetProjectRequest(name=PROJECT))).project
            if found.spaces[0].index.state == wire.INDEX_STATE_BUILDING:
                return time.perf_counter()
        await asyncio.sleep(_LOOK_SECONDS)


async def _bytes(site: Site) -> tuple[int, int]:
    """Of the project's whole schema, and of its HNSW index."""
    project = await registry.get(site.database, PROJECT)
    async with site.database.reading() as connection:
        [row] = await connection.fetch(
            "SELECT sum(pg_relation_size(pg_class.oid)) FILTER (WHERE relkind <> 't'),"
            " sum(pg_relation_size(pg_class.oid)) FILTER (WHERE amname = 'hnsw')"
            " FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " LEFT JOIN pg_am ON pg_am.oid = relam WHERE nspname = $1",
            schema_of(project.id),
        )
    return int(row[0]), int(row[1] or 0)
