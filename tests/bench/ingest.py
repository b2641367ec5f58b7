"""How quickly images are stored: IndexImages beside raw COPY of the same rows into the same tables."""

import statistics
import time
from collections.abc import Sequence
from typing import Final

import asyncpg
import numpy as np

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.database import migration
from lookalike_searcher.database.connection import prepare
from lookalike_searcher.database.statement import Connection, schema_of, vectors_of
from tests.bench.dataset import COLUMNS, Dataset, Row
from tests.bench.figures import Figure
from tests.bench.searcher_process import Site, index

_SCHEMA: Final = 900_000
"""Numbers of schemas from here on are far from those of projects."""
_ROWS: Final = 25_000
"""Few enough that no index is built meanwhile: that begins at twenty times the threshold, or when the import ends."""


async def measure(site: Site, dataset: Dataset, rounds: int) -> list[Figure]:
    """Both take turns; each round has a project, or a schema, of its own."""
    rows = range(min(_ROWS, len(dataset)))
    requests, records = dataset.requests("", rows), dataset.records(rows)
    ours: list[float] = []
    raw: list[float] = []
    cpu = np.zeros(3)
    connection = await asyncpg.connect(site.url)
    try:
        await prepare(connection)
        for number in range(rounds):
            for party in (0, 1) if number % 2 else (1, 0):
                if party:
                    raw.append(await _copied(connection, dataset.dimensions, records, number))
                else:
                    before = site.cpu()
                    ours.append(await _indexed(site, requests, f"ingest-{number}", dataset))
                    cpu += site.cpu() - before
            print(
                f"round {number + 1}: IndexImages {len(rows) / ours[-1]:,.0f}, COPY {len(rows) / raw[-1]:,.0f} rows/s"
            )
    finally:
        await connection.close()
    pace = len(rows) / statistics.median(ours)
    ratio = statistics.median(copy / own for own, copy in zip(ours, raw, strict=True))
    client, searcher, database = cpu / rounds / len(rows) * 1e6
    on = (
        f"{len(rows):,} images in messages of {len(requests[0].entries)}, one stream, made before; {rounds} rounds by"
        f" turns; processor time an image, µs: client {client:.0f},"
        f" searcher {searcher:.0f}, PostgreSQL {database:.0f}"
    )
    return [
        Figure("ingest_over_copy", ratio, f"binary COPY makes {pace / ratio:,.0f} rows/s", least=0.4),
        Figure("ingest_rows_per_second", pace, on),
    ]


async def _indexed(site: Site, requests: list[wire.IndexImagesRequest], project: str, dataset: Dataset) -> float:
    await site.stub.CreateProject(dataset.create_project(project))
    requests[0].project = project
    seconds = await index(site.stub, requests)
    await site.stub.DeleteProject(wire.DeleteProjectRequest(name=project))
    return seconds


async def _copied(connection: Connection, dimensions: int, records: Sequence[list[Row]], number: int) -> float:
    """Seconds to copy the rows into the tables of a project, in one transaction with all indexes and constraints."""
    project_id = space_id = _SCHEMA + number
    async with connection.transaction():
        await migration.create_schema(connection, project_id, space_id, dimensions)
    began = time.perf_counter()
    async with connection.transaction():
        await copy(connection, project_id, space_id, records)
    seconds = time.perf_counter() - began
    await connection.execute(f"DROP SCHEMA {schema_of(project_id)} CASCADE")
    return seconds


async def copy(connection: Connection, project_id: int, space_id: int, records: Sequence[list[Row]]) -> None:
    """Copy the rows into the tables of a project, in binary form."""
    tables = ("image", vectors_of(space_id), "image_reference")
    for table, columns, of_table in zip(tables, COLUMNS, records, strict=True):
        await connection.copy_records_to_table(
            table, schema_name=schema_of(project_id), columns=columns, records=of_table
        )
