"""The registry: projects by name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from lookalike_searcher import migration
from lookalike_searcher.database import Database
from lookalike_searcher.errors import AlreadyExists, NotFound
from lookalike_searcher.statement import Connection, schema_of, statement

_READERS: Final = 0x10CA1
"""The class of the advisory locks that keep a project from being deleted under its readers."""


@dataclass(frozen=True)
class Project:
    """A row of the registry."""

    id: int
    name: str
    space: str
    image_count: int
    reference_count: int
    create_time: datetime
    update_time: datetime


def _project(row: asyncpg.Record) -> Project:
    return Project(**dict(row))


def _the_one(name: str, row: asyncpg.Record | None) -> Project:
    if row is None:
        raise NotFound.project(name)
    return _project(row)


async def create(database: Database, name: str, space: str) -> Project:
    """Register a project and make its schema, both or neither.

    Raises:
        AlreadyExists: the name is taken.
    """
    async with database.writing() as connection:
        row = await connection.fetchrow(statement("project_insert"), name, space, migration.latest_project_version())
        if row is None:
            raise AlreadyExists.project(name)
        await migration.create_schema(connection, row["id"])
        return _project(row)


async def get(database: Database, name: str) -> Project:
    """The project of that name. Raises NotFound."""
    async with database.connection() as connection:
        return _the_one(name, await connection.fetchrow(statement("project_get"), name))


@asynccontextmanager
async def found(connection: Connection, name: str) -> AsyncIterator[Project]:
    """The project of that name, to be read in the block. Raises NotFound, also if it has just been deleted."""
    project = _the_one(name, await connection.fetchrow(statement("project_read"), name, _READERS))
    try:
        yield project
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise NotFound.project(name) from error


async def lock(connection: Connection, name: str) -> Project:
    """The project of that name, to be changed in this transaction alone. Raises NotFound."""
    return _the_one(name, await connection.fetchrow(statement("project_lock"), name))


async def list_after(database: Database, name: str, limit: int) -> list[Project]:
    """At most `limit` projects whose names come after `name`, in order."""
    async with database.connection() as connection:
        return [_project(row) for row in await connection.fetch(statement("project_list"), name, limit)]


async def delete(database: Database, name: str) -> None:
    """Drop the project's schema and forget its name, both or neither. Raises NotFound."""
    async with database.writing() as connection:
        project = await lock(connection, name)
        await connection.execute(statement("project_lock_readers"), _READERS, project.id)
        await connection.execute(f"DROP SCHEMA {schema_of(project.id)} CASCADE")
        await connection.execute(statement("project_delete"), project.id)
