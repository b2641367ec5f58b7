"""Build and rebuild the approximate index (HNSW) of a space, and tell its state.

Each function that changes an index runs on a connection of its own, as it takes minutes and cannot be in a transaction.
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
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.space import Space

logger = logging.getLogger(__name__)

HNSW_OPTIONS: Final = "m = 32, ef_construction = 512"
"""Indexes are built with these options; `make bench-graph` compares others. With pgvector's own, m 16 and
ef_construction 64, some groups of near images are reached by no walk, so that recall depends on the order of insertion;
with 128 some images are not, and with 256 up to one in 200 of an import cluster by cluster. Where the options change,
existing indexes are rebuilt."""


class IndexState(enum.Enum):
    """The state says how far a space's index is."""

    NONE = "none"
    PENDING = "pending"
    BUILDING = "building"
    READY = "ready"


@dataclass(frozen=True)
class IndexStatus:
    """The status has a space's vector count, and its index; `progress` is that of the current phase, 0 to 1."""

    state: IndexState
    vector_count: int
    progress: float = 0.0
    phase: str = ""


async def states(database: Database, project: Project, *, threshold: int) -> Mapping[int, IndexStatus]:
    """Return the status of each of the project's spaces that still exists, by id.

    With `threshold` images or more, there should be an index.
    """
    if all(space.complete for space in project.spaces) and project.image_count < threshold:
        return {space.id: _settled(project, space, project.image_count, threshold) for space in project.spaces}
    statuses: dict[int, IndexStatus] = {}
    async with registry.reading(database, project.name) as (connection, project):
        for space in project.spaces:
            count = project.image_count
            if not space.complete:
                count = await connection.fetchval(statement("vector_count", project.id, space.id))
            statuses[space.id] = _settled(project, space, count, threshold)
            if statuses[space.id].state == IndexState.PENDING:
                building = await under_construction(connection, project.id, space.id, sharded=database.sharded)
                if building:
                    statuses[space.id] = IndexStatus(IndexState.BUILDING, count, *building)
    return statuses


def _settled(project: Project, space: Space, count: int, threshold: int) -> IndexStatus:
    if space.index_time:
        return IndexStatus(IndexState.READY, count)
    needed = project.image_count >= threshold
    return IndexStatus(IndexState.PENDING if needed else IndexState.NONE, count)


async def under_construction(
    connection: Connection, project_id: int, space_id: int, *, sharded: bool
) -> tuple[float, str] | None:
    """Return progress and phase of a build of the space's index, here or on a worker; None if there is none."""
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
    """Create the index, without blocking writers. What a killed build left behind is removed first."""
    valid = await connection.fetchval(statement("index_valid", project_id, space_id))
    if valid:
        return  # its searcher was killed after PostgreSQL had finished
    if valid is not None:
        await connection.execute(statement("index_drop", project_id, space_id))
    create = statement("index_create", project_id, space_id, options=HNSW_OPTIONS)
    try:
        await connection.execute(create)
    except asyncpg.DiskFullError:  # parallel workers need shared memory, of which containers have 64 MB by default
        logger.warning("no shared memory for parallel workers (see --shm-size): building the index with one process")
        await connection.execute(statement("index_drop", project_id, space_id))
        await connection.execute("SET max_parallel_maintenance_workers = 0")
        try:
            await connection.execute(create)
        finally:  # a pooler may give the connection to others
            await connection.execute("RESET max_parallel_maintenance_workers")


async def rebuild(connection: Connection, project_id: int, space_id: int) -> None:
    """Build the index again beside the old one, which stays in use.

    What a killed rebuild left behind is removed first.
    """
    for row in await connection.fetch(statement("index_leftovers", project_id, space_id)):
        await connection.execute(f"DROP INDEX CONCURRENTLY {schema_of(project_id)}.{row['name']}")
    await connection.execute(statement("index_rebuild", project_id, space_id))


async def set_options(connection: Connection, project_id: int, space_id: int) -> None:
    """Give the index the present options. Only a rebuild heeds them."""
    await connection.execute(statement("index_alter", project_id, space_id, options=HNSW_OPTIONS))


async def drop(connection: Connection, project_id: int, space_id: int) -> None:
    """Drop the index of the space, if there is one."""
    await connection.execute(statement("index_drop", project_id, space_id))
