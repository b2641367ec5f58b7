"""Migrations: together, again, and onto what an older version left."""

import asyncio
import uuid

import asyncpg
import pytest
from lookalike_searcher import migration
from lookalike_searcher import project as registry
from lookalike_searcher.database import Database
from lookalike_searcher.migration import Migration


async def test_searchers_that_start_together_migrate_once(database_url: str, database: Database) -> None:
    connections = [await asyncpg.connect(database_url) for _ in range(4)]
    await asyncio.gather(*(migration.migrate(connection) for connection in connections))
    for connection in connections:
        await connection.close()
    async with database.connection() as pooled:
        numbers = await pooled.fetch("SELECT number FROM lookalike_migration ORDER BY number")
    assert [row["number"] for row in numbers] == [step.number for step in migration.migrations("registry")]


async def test_a_new_migration_reaches_every_project(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"old-{uuid.uuid4().hex}"
    old = await registry.create(database, name, "space")
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
