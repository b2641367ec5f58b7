"""Filling the catalogue that is searched, and waiting for its index."""

import time

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.database.statement import schema_of
from lookalike_searcher.projects import registry
from tests.bench.dataset import Dataset
from tests.bench.figures import Figure
from tests.bench.searcher_process import Site, index
from tests.bench.searches import PROJECT

_PART = 50_000
"""Images whose messages are in memory at once."""


async def measure(site: Site, dataset: Dataset) -> list[Figure]:
    """Store the whole dataset, then wait until it is searched through its index."""
    await site.stub.CreateProject(wire.CreateProjectRequest(name=PROJECT, space=dataset.space))
    seconds = 0.0
    for start in range(0, len(dataset), _PART):
        requests = dataset.requests(PROJECT, range(start, min(start + _PART, len(dataset))))
        seconds += await index(site.stub, requests)
    stored = time.perf_counter()
    ready, found = await site.ready(PROJECT)
    tables, hnsw = await _bytes(site)
    return [
        Figure("load_seconds", seconds, f"IndexImages of {len(dataset):,}; past 40,000 the index is built beside it"),
        Figure("ready_seconds", ready - stored, "from the last acknowledgement until searches go through the index"),
        Figure("ef_search", float(found.ef_search), "hnsw.ef_search that the searcher chose for 10 hits"),
        Figure(
            "bytes_per_image",
            tables / len(dataset),
            f"tables and all indexes, of which HNSW {hnsw / len(dataset):,.0f}",
        ),
    ]


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
