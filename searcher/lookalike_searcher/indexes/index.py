"""The approximate index (HNSW) of a space: its state, how it is built, tuned and kept in order.

Each function that changes one runs on a connection of its own, as it takes minutes and cannot be in a transaction.
"""

import enum
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, schema_of, statement, vectors_of
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.registry import Project
from lookalike_searcher.projects.space import Space

logger = logging.getLogger(__name__)


class IndexState(enum.Enum):
    """How far a space's index is."""

    NONE = "none"
    PENDING = "pending"
    BUILDING = "building"
    READY = "ready"


@dataclass(frozen=True)
class IndexStatus:
    """A space's vectors and its index: `progress` of the present phase is 0 to 1, and 0 if nothing is being built."""

    state: IndexState
    vector_count: int
    progress: float = 0.0
    phase: str = ""


async def states(database: Database, project: Project, *, threshold: int) -> Mapping[int, IndexStatus]:
    """The state of each of the project's spaces that is still there, by id.

    From `threshold` images on there should be an index.
    """
    if all(space.complete for space in project.spaces) and project.image_count < threshold:
        return {space.id: _settled(project, space, project.image_count, threshold) for space in project.spaces}
    found: dict[int, IndexStatus] = {}
    async with registry.reading(database, project.name) as (connection, project):
        for space in project.spaces:
            count = project.image_count
            if not space.complete:
                count = await connection.fetchval(statement("vector_count", project.id, space.id))
            found[space.id] = _settled(project, space, count, threshold)
            if found[space.id].state == IndexState.PENDING:
                building = await under_construction(connection, project.id, space.id, sharded=database.sharded)
                if building:
                    found[space.id] = IndexStatus(IndexState.BUILDING, count, *building)
    return found


def _settled(project: Project, space: Space, count: int, threshold: int) -> IndexStatus:
    if space.index_time:
        return IndexStatus(IndexState.READY, count)
    needed = project.image_count >= threshold
    return IndexStatus(IndexState.PENDING if needed else IndexState.NONE, count)


async def under_construction(
    connection: Connection, project_id: int, space_id: int, *, sharded: bool
) -> tuple[float, str] | None:
    """Progress and phase of whoever is building an index over the space's vectors, here or on a worker."""
    sql = statement("index_progress", schema=schema_of(project_id), table=vectors_of(space_id))
    if sharded:
        rows = await connection.fetch("SELECT result FROM run_command_on_all_nodes($1) WHERE success", sql)
    else:
        rows = await connection.fetch(sql)
    for row in rows:
        if row[0]:
            progress, _, phase = row[0].partition(" ")
            return float(progress), phase
    return None


async def build(connection: Connection, project_id: int, space_id: int) -> None:
    """Make the index, without keeping anybody from writing. What a killed builder left behind is removed first."""
    valid = await connection.fetchval(statement("index_valid", project_id, space_id))
    if valid:
        return  # its builder was killed after PostgreSQL had finished
    if valid is not None:
        await connection.execute(statement("index_drop", project_id, space_id))
    try:
        await connection.execute(statement("index_create", project_id, space_id))
    except asyncpg.DiskFullError:  # parallel workers share memory, of which containers have 64 MB unless told otherwise
        logger.warning("no shared memory for parallel workers (see --shm-size): building the index with one process")
        await connection.execute(statement("index_drop", project_id, space_id))
        await connection.execute("SET max_parallel_maintenance_workers = 0")
        try:
            await connection.execute(statement("index_create", project_id, space_id))
        finally:  # a pooler gives the connection to others
            await connection.execute("RESET max_parallel_maintenance_workers")


async def rebuild(connection: Connection, project_id: int, space_id: int) -> None:
    """Make it anew beside the old one, which serves meanwhile. What a killed rebuilder left behind is removed first."""
    for row in await connection.fetch(statement("index_leftovers", project_id, space_id)):
        await connection.execute(f"DROP INDEX CONCURRENTLY {schema_of(project_id)}.{row['name']}")
    await connection.execute(statement("index_rebuild", project_id, space_id))


async def drop(connection: Connection, project_id: int, space_id: int) -> None:
    """Do without it."""
    await connection.execute(statement("index_drop", project_id, space_id))


_LADDER: Final = (100, 150, 200, 300, 450, 700, 1000)
"""Values of hnsw.ef_search that are tried.

Less than the first is little quicker, and fails queries that are like no image: with 80, which the sample was content
with, those of `make bench-searcher` found .990 of the nearest ten."""
BEYOND: Final = 2000
"""Stands for a value that pgvector does not have: nothing on the ladder was enough."""
_SAMPLES: Final = 50
_LEFT_OUT: Final = 1
"""Of them, the worst: a query that lies between two neighbourhoods may miss one of them at any ef_search, and made it
700 instead of 100 in one build of the same index out of several."""


async def calibrate(database: Database, project: str, space: str, target: float) -> tuple[int, int]:
    """The least `hnsw.ef_search` that finds the nearest 10, and the nearest 100, at the recall target.

    Sampled queries are made exactly and through the index. Aims at half as many misses as are allowed, as a margin for
    queries that are harder than those.

    Returns:
        The values, BEYOND where none is enough.
    """
    async with registry.reading(database, project) as (connection, found):
        chosen = found.in_space(space)
        sample = await connection.fetch(statement("vector_sample", found.id, chosen.id), _SAMPLES)
        truth = [await _nearest(connection, found, chosen, row["vector"], 100, "index_truth") for row in sample]
        results: list[int] = []
        for count in (10, 100):
            results.append(BEYOND)
            for ef_search in (step for step in _LADDER if step >= count):
                await connection.execute(ef_settings(ef_search))
                shares = [
                    _recall(await _nearest(connection, found, chosen, row["vector"], count, "index_nearest"), exact)
                    for row, exact in zip(sample, truth, strict=True)
                ]
                counted = sorted(shares)[_LEFT_OUT:] or [1.0]
                if sum(counted) / len(counted) >= (1 + target) / 2:
                    results[-1] = ef_search
                    break
    return results[0], results[1]


async def _nearest(
    connection: Connection, project: Project, space: Space, vector: bytes, count: int, name: str
) -> list[float]:
    rows = await connection.fetch(statement(name, project.id, space.id), vector, count)
    return [row["distance"] for row in rows]


def _recall(found: list[float], exact: list[float]) -> float:
    """The share of the nearest that were found, by distance, so that of several equally near ones any will do."""
    nearest = exact[: len(found)]
    return sum(distance <= nearest[-1] for distance in found) / len(nearest)


def ef_settings(ef_search: int) -> str:
    """How the index is to be walked, for the rest of the transaction.

    It goes on until enough pass the filter (pgvector never goes on by default, and otherwise ends after 20,000), and no
    other way of ranking is to be planned.
    """
    return (
        f"SET LOCAL hnsw.ef_search = {ef_search}; SET LOCAL hnsw.iterative_scan = relaxed_order;"
        f" SET LOCAL hnsw.max_scan_tuples = {MAX_SCANNED}; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"
    )


MAX_SCANNED: Final = 200_000
"""Images that a walk of the index looks at before it is given up for an exact ranking."""
