"""Migrations: together, again, and onto what an older version left."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from lookalike_searcher import migration
from lookalike_searcher import project as registry
from lookalike_searcher.database import Database
from lookalike_searcher.migration import Migration


@pytest.fixture
async def fresh_database_url(database_url: str) -> AsyncIterator[str]:
    """A database of its own, empty."""
    name = f"fresh_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"CREATE DATABASE {name}")
    parts = urlsplit(database_url)
    yield urlunsplit(parts._replace(path=f"/{name}"))
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


async def test_searchers_that_start_together_on_a_fresh_database_migrate_once(fresh_database_url: str) -> None:
    connections = [await asyncpg.connect(fresh_database_url) for _ in range(6)]
    await asyncio.gather(*(migration.migrate(connection) for connection in connections))
    numbers = await connections[0].fetch("SELECT number FROM lookalike_migration ORDER BY number")
    assert [row["number"] for row in numbers] == [step.number for step in migration.migrations("registry")]
    for connection in connections:
        await connection.close()


async def test_a_new_migration_reaches_every_project(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"old-{uuid.uuid4().hex}"
    old = await registry.create(database, name, "space", registry.Limits())
    steps = migration.migrations
    added = Migration(len(steps("project")) + 1, "ALTER TABLE {schema}.image ADD COLUMN note text")
    monkeypatch.setattr(
        migration, "migrations", lambda kind: (*steps(kind), added) if kind == "project" else steps(kind)
    )
    connection = await asyncpg.connect(database_url)
    await migration.migrate(connection)
    await migration.migrate(connection)
    assert await connection.fetch(f"SELECT note FROM p{old.id}.image") == []  # noqa: S608 - a number
    await connection.execute("UPDATE lookalike_project SET schema_version = $1", added.number - 1)
    await connection.execute(f"ALTER TABLE p{old.id}.image DROP COLUMN note")
    await connection.close()
    await registry.delete(database, name)
