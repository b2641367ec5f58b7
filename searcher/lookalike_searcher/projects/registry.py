"""Keep the registry: projects by name, with their spaces."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import astuple
from typing import Final

import asyncpg

from lookalike.constants import DEFAULT_DIMENSIONS
from lookalike.records import TuningPolicy
from lookalike_searcher.database import migration
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, fragment, schema_of, statement
from lookalike_searcher.errors import AlreadyExists, NotFound
from lookalike_searcher.projects.project import Limits, Project


async def create(
    database: Database,
    name: str,
    space: str,
    limits: Limits,
    dimensions: int = DEFAULT_DIMENSIONS,
    tuning_policy: TuningPolicy = TuningPolicy.PROPOSE,
) -> Project:
    """Register a project and create its schema, both or neither.

    Args:
        database: the database of the project.
        name: the name of the project.
        space: the name of its first space.
        limits: the limits of the project.
        dimensions: how many dimensions the space has.
        tuning_policy: how far the searcher may tune it.

    Raises:
        AlreadyExists: the name is taken.
    """
    async with database.writing() as connection:
        project_id = await connection.fetchval(
            statement("project_insert"),
            name,
            space,
            migration.latest_project_version(),
            *astuple(limits),
            tuning_policy,
        )
        if project_id is None:
            raise AlreadyExists.project(name)
        space_id = await connection.fetchval(statement("space_insert"), project_id, space, dimensions, True)
        await database.shard_schemas(connection)
        await migration.create_schema(connection, project_id, space_id, dimensions)
        return await read(connection, name)


async def get(database: Database, name: str) -> Project:
    """Return the project of that name. Raises NotFound."""
    async with database.reading() as connection:
        return await read(connection, name)


async def read(connection: Connection, name: str) -> Project:
    """Return the project of that name, in the caller's transaction. Raises NotFound."""
    return Project.of_rows(name, await connection.fetch(statement("project_read", hold="", there=""), name))


@asynccontextmanager
async def reading(database: Database, name: str, settings: str = "") -> AsyncIterator[tuple[Connection, Project]]:
    """Lend a connection to read a project within the block; all its statements see the same state. Yields both.

    Args:
        database: the database of the project.
        name: the name of the project.
        settings: see `Database.reading`.

    Raises:
        NotFound: there is no such project, also if it has just been deleted.
    """
    held, stale = statement("project_read", hold=fragment("project_hold"), there=fragment("project_there")), False
    while True:
        async with database.reading(settings, project_name=name) as connection:
            rows = await connection.fetch(held, name)
            if not all(row["held"] for row in rows):
                await connection.execute(statement("project_wait_for_writer"), rows[0]["id"])
                continue  # with a new transaction, which sees what the writer has left
            if not stale and not all(row["there"] for row in rows):
                stale = True  # a table was dropped between our snapshot and our lock
                continue
            with deletion_noticed(name):
                yield connection, Project.of_rows(name, rows)
            return


DELETED: Final = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)
"""What PostgreSQL raises where a project has been deleted."""


@contextmanager
def deletion_noticed(name: str) -> Iterator[None]:
    """Raise NotFound if the project is deleted within the block: on a replica, where our locks have no effect."""
    try:
        yield
    except DELETED as error:
        raise NotFound.project(name) from error


@asynccontextmanager
async def writing(database: Database, name: str) -> AsyncIterator[tuple[Connection, Project]]:
    """Lend a connection to change a project within the block, while nobody else does. Yields both. Raises NotFound."""
    async with database.writing(project_name=name) as connection:
        await connection.execute(statement("project_lock"), name)
        yield connection, await read(connection, name)  # read under the lock


async def wait_for_readers(database: Database, connection: Connection, project: Project) -> None:
    """Wait for those that read the project, so that its tables can be dropped in the caller's transaction."""
    await connection.execute(statement("project_wait_for_readers"), project.id)
    if not database.sharded:  # there, no search is made in one statement
        await connection.execute(statement("project_lock_tables", project.id))


async def list_after(database: Database, name: str, limit: int, allowed: Sequence[str]) -> list[Project]:
    """Return the first `limit` projects after `name`, in order of name, without their spaces.

    Only allowed ones are returned: `allowed` has names, or beginnings of names that end in `*`.
    """
    patterns = list(map(_pattern, allowed))
    async with database.reading() as connection:
        rows = await connection.fetch(statement("project_list"), name, limit, patterns)
    return list(map(Project.of, rows))


def _pattern(allowed: str) -> str:
    """Return the pattern for LIKE, in which `_` and `%` are special. Tokens hold only characters of names, and `*`."""
    return allowed.replace("_", r"\_").replace("*", "%")


async def update(
    database: Database,
    name: str,
    limits: Limits | None,
    *,
    search_disabled: bool | None = None,
    fingerprints_disabled: bool | None = None,
    tuning_policy: TuningPolicy | None = None,
) -> Project:
    """Replace the limits and the policy, switch searches or fingerprints; None changes nothing. Raises NotFound."""
    async with writing(database, name) as (connection, project):
        limits = limits or project.limits
        await connection.execute(
            statement("project_update"),
            project.id,
            *astuple(limits),
            project.search_disabled if search_disabled is None else search_disabled,
            project.fingerprints_disabled if fingerprints_disabled is None else fingerprints_disabled,
            tuning_policy or project.tuning_policy,
        )
        return await read(connection, name)


async def delete(database: Database, name: str) -> None:
    """Drop the project's schema and its row in the registry, both or neither. Raises NotFound."""
    async with writing(database, name) as (connection, project):
        await wait_for_readers(database, connection, project)
        await connection.execute(f"DROP SCHEMA {schema_of(project.id)} CASCADE")
        await connection.execute(statement("project_delete"), project.id)
