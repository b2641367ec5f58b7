"""Migrate the registry and every project's schema by numbered SQL files, each in a transaction.

Several searchers may start at once, and a migration may be interrupted: what has been applied is recorded in the same
transaction.
"""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import asyncpg

from lookalike_searcher.database.statement import Connection, fill, statement

logger = logging.getLogger(__name__)

MIN_POSTGRES: Final = 16
"""This is the first version in which CREATE TABLE takes a column's STORAGE."""
MIN_PGVECTOR: Final = (0, 8)
"""This is the first version with iterative index scans; halfvec came with 0.7."""

_LOCK: Final = 0x100CA11CE
"""Migrations hold this advisory lock, so that one searcher runs them at a time."""

_STATEMENT_END: Final = re.compile(r";[ \t]*$", re.MULTILINE)
"""In a migration, a statement ends with a semicolon at the end of a line."""


class UnusableDatabase(Exception):
    """The database is not what the searcher needs. The message says what to do."""


@dataclass(frozen=True)
class Migration:
    """A migration is one numbered SQL file."""

    number: int
    sql: str


@cache
def migrations(kind: str) -> tuple[Migration, ...]:
    """Return the migrations of the `registry` or of a `project`, in order."""
    folder = files(__package__) / "migrations" / kind
    unsorted = (
        Migration(int(file.name[:4]), file.read_text()) for file in folder.iterdir() if file.name.endswith(".sql")
    )
    return tuple(sorted(unsorted, key=lambda migration: migration.number))


async def migrate(connection: Connection) -> None:
    """Bring the registry and all projects up to date.

    Raises:
        UnusableDatabase: PostgreSQL or pgvector is too old, or a newer version has migrated the database.
    """
    _check_postgres(connection)
    async with _locked(connection):  # IF NOT EXISTS alone can fail if two sessions do this at once
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS lookalike_migration"
            " (number integer PRIMARY KEY, apply_time timestamptz NOT NULL)"
        )
        await _check_registry_version(connection)
        await _create_extension(connection)
    for step in migrations("registry"):
        await _apply_to_registry(connection, step)
    await _check_pgvector(connection)
    latest = latest_project_version()
    newest = await connection.fetchval("SELECT max(schema_version) FROM lookalike_project")
    _check_version("a project's schema", newest or 0, latest)
    for row in await connection.fetch("SELECT id FROM lookalike_project WHERE schema_version < $1", latest):
        async with connection.transaction():
            await bring_up_to_date(connection, row["id"])


async def create_schema(
    connection: Connection, project_id: int, space_id: int, dimensions: int, *, up_to: int | None = None
) -> None:
    """Create the schema of a new project with its first space, in the caller's transaction.

    Args:
        connection: the caller's.
        project_id: the project's id.
        space_id: the id of its first space.
        dimensions: how many dimensions that space has.
        up_to: the version of the schema; None for the latest.
    """
    for step in migrations("project"):
        if up_to is None or step.number <= up_to:
            await _apply_to_project(connection, step, project_id, space_id)
    # the migrations made it for VGG16's vectors
    await connection.execute(statement("space_drop", project_id, space_id))
    await create_space(connection, project_id, space_id, dimensions)


async def create_space(connection: Connection, project_id: int, space_id: int, dimensions: int) -> None:
    """Create the table of a space's vectors, in the caller's transaction."""
    await connection.execute(statement("space_create", project_id, space_id, dimensions=str(dimensions)))


def latest_project_version() -> int:
    """Return the number of the last migration of a project's schema."""
    return migrations("project")[-1].number


@asynccontextmanager
async def _locked(connection: Connection) -> AsyncIterator[None]:
    """Hold a transaction beside which no other searcher migrates."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        yield


async def _check_registry_version(connection: Connection) -> None:
    newest = await connection.fetchval("SELECT max(number) FROM lookalike_migration")
    _check_version("the registry", newest or 0, migrations("registry")[-1].number)


def _check_version(what: str, found: int, known: int) -> None:
    """Refuse what a newer version of the searcher has migrated: we do not know what its tables mean."""
    if found > known:
        raise UnusableDatabase(
            f"a newer version of lookalike has migrated the database: {what} is of version {found}, of which this"
            f" program knows {known}; start that version, or restore the backup from before the upgrade"
        )


async def _create_extension(connection: Connection) -> None:
    """Create the extension unless it is there: Citus hands IF NOT EXISTS on to workers, which asks for rights."""
    if await connection.fetchval("SELECT true FROM pg_extension WHERE extname = 'vector'"):
        return
    try:
        await connection.execute("CREATE EXTENSION vector")
    except asyncpg.FeatureNotSupportedError as error:  # the extension's files are not installed
        raise UnusableDatabase(f"PostgreSQL lacks the extension pgvector: {error}; install it there") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise UnusableDatabase(f"{error}: let a superuser run CREATE EXTENSION vector in this database") from error


async def _apply_to_registry(connection: Connection, step: Migration) -> None:
    async with _locked(connection):
        if await connection.fetchval("SELECT true FROM lookalike_migration WHERE number = $1", step.number):
            return
        await connection.execute(step.sql)
        await connection.execute("INSERT INTO lookalike_migration VALUES ($1, now())", step.number)
        logger.info("applied migration %d to the registry", step.number)


async def _apply_to_project(connection: Connection, step: Migration, project_id: int, space_id: int) -> None:
    """Run a migration's statements one by one: Citus passes the whole text that holds a statement to its workers."""
    for sql in _STATEMENT_END.split(fill(step.sql, project_id, space_id)):
        if sql.strip():
            await connection.execute(sql)


def _check_postgres(connection: Connection) -> None:
    if (version := connection.get_server_version().major) < MIN_POSTGRES:
        raise UnusableDatabase(f"PostgreSQL must be {MIN_POSTGRES} or newer, got {version}; upgrade it")


async def _check_pgvector(connection: Connection) -> None:
    version = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    if tuple(int(part) for part in version.split(".")[:2]) < MIN_PGVECTOR:
        min_version = ".".join(map(str, MIN_PGVECTOR))
        raise UnusableDatabase(
            f"pgvector must be {min_version} or newer, got {version}; run ALTER EXTENSION vector UPDATE"
        )


async def bring_up_to_date(connection: Connection, project_id: int) -> None:
    """Apply the migrations that the project's schema lacks, in the caller's transaction."""
    version = await connection.fetchval(
        "SELECT schema_version FROM lookalike_project WHERE id = $1 FOR UPDATE", project_id
    )
    first_space = await connection.fetchval("SELECT min(id) FROM lookalike_space WHERE project_id = $1", project_id)
    for step in migrations("project"):
        if version is not None and step.number > version:
            await _apply_to_project(connection, step, project_id, first_space)
            await connection.execute(
                "UPDATE lookalike_project SET schema_version = $2 WHERE id = $1", project_id, step.number
            )
            logger.info("applied migration %d to project %d", step.number, project_id)
