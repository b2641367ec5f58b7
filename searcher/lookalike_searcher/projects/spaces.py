"""A new model without an outage: a second space is made, cut over to, and the old one deleted."""

from dataclasses import dataclass

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.errors import AlreadyExists, FailedPrecondition
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.registry import Project


@dataclass(frozen=True)
class Derivation:
    """What a space is to be derived by: the name of its source, and a projection as it is stored."""

    source: str
    matrix: bytes
    centre: bytes


async def create(database: Database, project: str, name: str, derivation: Derivation | None = None) -> Project:
    """Add an empty space to the project, and its table.

    Raises:
        NotFound: there is no such project, or it has no such source.
        AlreadyExists: it has such a space.
        FailedPrecondition: the source is derived itself.
    """
    async with registry.writing(database, project) as (connection, found):
        source = found.in_space(derivation.source) if derivation else None
        if source and source.source_id:
            raise FailedPrecondition.source_is_derived(project, source.name)
        space_id = await connection.fetchval(statement("space_insert"), found.id, name, False)
        if space_id is None:
            raise AlreadyExists.space(project, name)
        await connection.execute(statement("space_create", found.id, space_id))
        if derivation and source:
            stored = (derivation.matrix, derivation.centre)
            await connection.execute(statement("projection_insert"), space_id, source.id, *stored)
        return await registry.read(connection, project)


async def cut_over(database: Database, project: str, name: str, *, allow_incomplete: bool, index_from: int) -> Project:
    """Make the space the one that serves, atomically.

    Args:
        database: where.
        project: the project's name.
        name: the space's.
        allow_incomplete: whether it may lack vectors, whose images are then not found, or its index.
        index_from: the number of images from which a space should have an index.

    Raises:
        NotFound: there is no such project or space.
        FailedPrecondition: it lacks vectors or its index.
    """
    async with registry.writing(database, project) as (connection, found):
        space = found.in_space(name)
        missing = found.image_count - await connection.fetchval(statement("vector_count", found.id, space.id))
        indexed = space.index_time is not None or found.image_count < index_from
        if (missing or not indexed) and not allow_incomplete:
            raise FailedPrecondition.space_incomplete(project, name, missing, indexed=indexed)
        await connection.execute(statement("space_serve"), found.id, space.id, missing == 0)
        return await registry.read(connection, project)


async def delete(database: Database, project: str, name: str) -> Project:
    """Drop the space's table and forget it, both or neither.

    Raises:
        NotFound: there is no such project or space.
        FailedPrecondition: it serves, or others are derived from it.
    """
    async with registry.writing(database, project) as (connection, found):
        space = found.in_space(name)
        if space.name == found.space:
            raise FailedPrecondition.space_serves(project, name)
        if derived := found.derived(space):
            raise FailedPrecondition.space_has_derived(project, name, [other.name for other in derived])
        await connection.execute(statement("project_wait_for_readers"), found.id)
        await connection.execute(statement("space_drop", found.id, space.id))
        await connection.execute(statement("space_delete"), space.id)
        return await registry.read(connection, project)
