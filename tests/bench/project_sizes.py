"""Exact beside approximate ranking, by the size of the project: it shows from which size on an index is worth it."""

import dataclasses
from pathlib import Path
from typing import Final

import numpy as np

from lookalike_searcher.config import Config
from lookalike_searcher.database import pool as databases
from lookalike_searcher.database import postgres
from lookalike_searcher.database.pool import Database
from lookalike_searcher.indexes.maintenance import Maintenance
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Limits
from lookalike_searcher.rpc import parse
from lookalike_searcher.search import rank
from lookalike_searcher.search.types import Search
from tests.bench.dataset import Dataset
from tests.bench.figures import Figure
from tests.bench.ingest import copy
from tests.bench.latency import milliseconds, timed
from tests.bench.searches import Queries

_SIZES: Final = (1_000, 3_000, 10_000, 30_000)
_TURNS, _TURN = 6, 15
_FILLED: Final = "UPDATE lookalike_project SET image_count = $2, reference_count = $2 WHERE id = $1"


async def measure(folder: Path, queries: Queries) -> list[Figure]:
    """In a database without a searcher, which would do away with the indexes of the small ones."""
    figures = []
    with postgres.embedded(folder) as embedded:
        async with databases.connect(embedded.url, pool_size=2, command_timeout=600) as database:
            sizes = [size for size in _SIZES if size <= len(queries.dataset)]
            for size in sizes:
                await _fill(database, queries.dataset, size)
            config = Config(data_dir=folder, exact_threshold=100, build_patience=0)
            while await Maintenance(config, database, Metrics()).once():
                pass
            for size in sizes:
                figures += await _compare(database, queries, size)
    return figures


async def _fill(database: Database, dataset: Dataset, size: int) -> None:
    """A project of the size, of rows from anywhere in the dataset."""
    created = await registry.create(database, f"size-{size}", dataset.space, Limits(), dataset.dimensions)
    rows = np.random.default_rng(size).choice(len(dataset), size, replace=False)
    async with database.writing() as connection:
        await copy(connection, created.id, created.serving.id, dataset.records(rows.tolist()))
        await connection.execute(_FILLED, created.id, size)
    async with database.connection() as connection:
        await connection.execute("ANALYZE")


async def _compare(database: Database, queries: Queries, size: int) -> list[Figure]:
    seconds: dict[bool, list[float]] = {True: [], False: []}
    requests = dataclasses.replace(queries, project=f"size-{size}").requests()
    asked = [parse.search(request)[0] for request in requests[: _TURNS * _TURN]]
    for turn in range(_TURNS):
        chosen = asked[turn * _TURN : (turn + 1) * _TURN]
        for exact in seconds:
            ways = [Search(one.project_name, one.query, one.limit, exact=exact) for one in chosen]
            seconds[exact] += await timed(lambda one: rank.rank(database, one), ways)
    space = (await registry.get(database, f"size-{size}")).serving
    return [
        Figure(f"exact_ms.{size}", milliseconds(seconds[True]), f"{size:,} images, made here, without the RPC"),
        Figure(f"approximate_ms.{size}", milliseconds(seconds[False]), f"hnsw.ef_search {space.ef_search(11)}"),
    ]
