"""Change a project's model without an outage: add a second space, cut over to it, and delete the old one."""

from dataclasses import dataclass

from lookalike.constants import DEFAULT_DIMENSIONS
from lookalike.records import Learning
from lookalike_searcher.database import migration
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.errors import AlreadyExists, FailedPrecondition
from lookalike_searcher.projects import learning, registry
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.projection import Projection


@dataclass(frozen=True)
class Derivation:
    """A derivation has the name of the source space, the projection from it, and what that was learned from."""

    source: str
    projection: Projection
    learning: Learning | None = None


async def create(
    database: Database,
    project_name: str,
    name: str,
    dimensions: int = DEFAULT_DIMENSIONS,
    derivation: Derivation | None = None,
) -> Project:
    """Add an empty space, with its table, to the project.

    Args:
        database: the database of the project.
        project_name: the name of the project.
        name: the name of the space.
        dimensions: how many dimensions it has, unless it is derived: then its projection says so.
        derivation: how it is derived from another space, if it is.

    Raises:
        NotFound: there is no such project or source.
        AlreadyExists: the project has the space already.
        FailedPrecondition: the source is derived itself.
        InvalidField: the projection is of vectors of other dimensions than the source's.
    """
    async with registry.writing(database, project_name) as (connection, project):
        source = project.in_space(derivation.source) if derivation else None
        if source and source.source_id:
            raise FailedPrecondition.source_is_derived(project_name, source.name)
        if derivation and source:
            derivation.projection.check_source(source)
            dimensions = derivation.projection.dimensions
        space_id = await connection.fetchval(statement("space_insert"), project.id, name, dimensions, False)
        if space_id is None:
            raise AlreadyExists.space(project_name, name)
        await migration.create_space(connection, project.id, space_id, dimensions)
        if derivation and source:
            projection = derivation.projection
            stored = (projection.matrix.tobytes(), projection.centre.tobytes(), projection.neighbours)
            learned = learning.to_json(derivation.learning)
            await connection.execute(statement("projection_insert", project.id), space_id, source.id, *stored, learned)
        return await registry.read(connection, project_name)


async def cut_over(
    database: Database, project_name: str, name: str, *, allow_incomplete: bool, index_from: int
) -> Project:
    """Make the space serve the project's searches, atomically.

    Args:
        database: the database of the project.
        project_name: the name of the project.
        name: the name of the space.
        allow_incomplete: whether the space may lack its index, or vectors, whose images are not found then.
        index_from: the number of images from which a space should have an index.

    Raises:
        NotFound: there is no such project or space.
        FailedPrecondition: the space lacks vectors or its index.
    """
    async with registry.writing(database, project_name) as (connection, project):
        space = project.in_space(name)
        missing = project.image_count - await connection.fetchval(statement("vector_count", project.id, space.id))
        indexed = space.index_time is not None or project.image_count < index_from
        if (missing or not indexed) and not allow_incomplete:
            raise FailedPrecondition.space_incomplete(project_name, name, missing, indexed=indexed)
        await connection.execute(statement("space_serve"), project.id, space.id, missing == 0)
        return await registry.read(connection, project_name)


async def delete(database: Database, project_name: str, name: str) -> Project:
    """Drop the space's table and its row in the registry, both or neither.

    Raises:
        NotFound: there is no such project or space.
        FailedPrecondition: the space serves, or others are derived from it.
    """
    async with registry.writing(database, project_name) as (connection, project):
        space = project.in_space(name)
        if space.name == project.space:
            raise FailedPrecondition.space_serves(project_name, name)
        if derived := project.derived(space):
            raise FailedPrecondition.space_has_derived(project_name, name, [child.name for child in derived])
        await registry.wait_for_readers(database, connection, project)
        await connection.execute(statement("space_drop", project.id, space.id))
        await connection.execute(statement("space_delete"), space.id)
        return await registry.read(connection, project_name)
