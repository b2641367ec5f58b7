"""Migrations: together, again, onto what an older version left, and after one that was killed."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import numpy as np
import pytest

from lookalike_searcher.database import migration
from lookalike_searcher.database import pool as database_module
from lookalike_searcher.database.connection import connected
from lookalike_searcher.database.halfvec import encode
from lookalike_searcher.database.migration import Migration
from lookalike_searcher.database.statement import Connection, fill, statement
from lookalike_searcher.images import writing
from lookalike_searcher.images.image import Embedding, Entry, Reference
from lookalike_searcher.indexes import index
from lookalike_searcher.projects import registry, spaces
from lookalike_searcher.projects.project import Limits
from lookalike_searcher.search import rank
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.types import Search
from tests.indexer import sha256, vector
from tests.polling import until

SPACE = "vgg16"
OLD_PROJECTS = ("first", "second", "third")
IMAGES = 20


@pytest.fixture
async def fresh_database_url(database_url: str) -> AsyncIterator[str]:
    """A database of its own, empty."""
    name = f"fresh_{uuid.uuid4().hex}"
    async with connected(database_url) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def old_database_url(fresh_database_url: str) -> str:
    """A database as the first release left it: projects 1 to 3, with images 0, 1, 2 and so on."""
    (registry_step, *_), (project_step, *_) = migration.migrations("registry"), migration.migrations("project")
    async with connected(fresh_database_url) as connection:
        await connection.execute(
            "CREATE TABLE lookalike_migration (number integer PRIMARY KEY, apply_time timestamptz)"
        )
        await connection.execute("INSERT INTO lookalike_migration VALUES (1, now()); CREATE EXTENSION vector")
        await connection.execute(registry_step.sql)
        for number, name in enumerate(OLD_PROJECTS, 1):
            await connection.execute(
                "INSERT INTO lookalike_project (name, space, schema_version, image_count, reference_count)"
                " VALUES ($1, $2, 1, $3, $3)",
                name,
                SPACE,
                IMAGES,
            )
            await connection.execute(fill(project_step.sql, number, None))
            await fill_with_images(connection, f"p{number}")
    return fresh_database_url


async def fill_with_images(connection: Connection, schema: str) -> None:
    """Write as the first release did."""
    for seed in range(IMAGES):
        image_id = await connection.fetchval(
            f"INSERT INTO {schema}.image (sha256, vector, width, height)"  # noqa: S608 - a name of the test's
            " VALUES ($1, $2::text::halfvec, 4, 3) RETURNING id",
            sha256(seed),
            str(vector(seed).tolist()),
        )
        await connection.execute(
            f"INSERT INTO {schema}.image_reference (image_id, uri, product, variant, staged, labels)"  # noqa: S608
            " VALUES ($1, $2, 'shoe', '', false, '{\"colour\": \"red\"}')",
            image_id,
            f"https://shop/{seed}.jpg",
        )


async def versions(connection: Connection) -> dict[str, int]:
    """The schema version of each project."""
    rows = await connection.fetch("SELECT name, schema_version FROM lookalike_project")
    return {row["name"]: row["schema_version"] for row in rows}


async def test_searchers_that_start_together_on_a_fresh_database_migrate_once(fresh_database_url: str) -> None:
    async def start() -> None:
        async with connected(fresh_database_url) as connection:
            await migration.migrate(connection)

    await asyncio.gather(*(start() for _ in range(6)))
    async with connected(fresh_database_url) as connection:
        numbers = await connection.fetch("SELECT number FROM lookalike_migration ORDER BY number")
        assert [row["number"] for row in numbers] == [step.number for step in migration.migrations("registry")]


async def test_a_new_migration_reaches_every_project(fresh_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with database_module.connect(fresh_database_url, pool_size=1, command_timeout=30) as database:
        for name in OLD_PROJECTS:
            await registry.create(database, name, SPACE, Limits())
    steps = migration.migrations
    added = Migration(len(steps("project")) + 1, "ALTER TABLE {schema}.image ADD COLUMN note text")
    monkeypatch.setattr(
        migration, "migrations", lambda kind: (*steps(kind), added) if kind == "project" else steps(kind)
    )
    async with connected(fresh_database_url) as connection:
        await migration.migrate(connection)
        await migration.migrate(connection)
        assert await versions(connection) == dict.fromkeys(OLD_PROJECTS, added.number)
        for number in range(1, 4):
            assert await connection.fetch(f"SELECT note FROM p{number}.image") == []  # noqa: S608 - a number


@pytest.mark.parametrize(
    ("newer", "told"),
    [
        ("INSERT INTO lookalike_migration VALUES (9999, now())", "the registry is of version 9999"),
        ("UPDATE lookalike_project SET schema_version = 9999", "a project's schema is of version 9999"),
    ],
)
async def test_a_database_that_a_newer_version_has_migrated_is_refused_and_left_alone(
    fresh_database_url: str, newer: str, told: str
) -> None:
    async with database_module.connect(fresh_database_url, pool_size=1, command_timeout=30) as database:
        await registry.create(database, "shop", SPACE, Limits())
        async with database.connection() as connection:
            await connection.execute(newer)
    with pytest.raises(
        migration.UnusableDatabase, match=f"a newer version of lookalike .*{told}.*; start that version"
    ):
        async with database_module.connect(fresh_database_url, pool_size=1, command_timeout=30):
            pass


async def test_what_the_first_release_stored_is_found(old_database_url: str) -> None:
    async with database_module.connect(old_database_url, pool_size=2, command_timeout=30) as database:
        for name in OLD_PROJECTS:
            await assert_found(database, name)


async def assert_found(database: database_module.Database, project: str) -> None:
    """By their vectors, with their references; and the space is whole."""
    for seed in range(IMAGES):
        [encoded] = encode(vector(seed)[np.newaxis])
        example = Example(embedding=Embedding(SPACE, encoded))
        found = await rank.rank(database, Search(project, Query((example,)), 3))
        assert found.hits[0].sha256 == sha256(seed)
        assert found.hits[0].similarity == pytest.approx(1, abs=1e-3)
        [reference] = found.hits[0].references
        assert (reference.uri, reference.labels) == (f"https://shop/{seed}.jpg", {"colour": "red"})
    [space] = (await registry.get(database, project)).spaces
    assert (space.name, space.dimensions, space.complete) == (SPACE, 512, True)


async def test_a_migration_that_is_killed_halfway_leaves_whole_projects_and_the_next_start_goes_on(
    old_database_url: str,
) -> None:
    """Killed when it has done with the first project, and with half of the second, whose table somebody reads."""
    async with connected(old_database_url) as reader, connected(old_database_url) as watcher:
        reading = reader.transaction()
        await reading.start()
        await reader.execute("LOCK TABLE p2.image IN ACCESS SHARE MODE")
        start = "import asyncio, sys; from lookalike_searcher.database import pool as database\n"
        start += "asyncio.run(database.connect(sys.argv[1], pool_size=1, command_timeout=30).__aenter__())"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", start, old_database_url)
        locks = "SELECT count(*) {} FROM pg_locks WHERE relation = 'p2.image'::regclass"
        await until(lambda: watcher.fetchval(locks.format("FILTER (WHERE NOT granted) = 1")))
        process.kill()
        await process.wait()
        await reading.rollback()
        await until(lambda: watcher.fetchval(locks.format("= 0")))
        assert await versions(watcher) == {"first": migration.latest_project_version(), "second": 1, "third": 1}
        assert await watcher.fetchval("SELECT count(vector) FROM p2.image") == IMAGES
        assert await watcher.fetchval("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'vector%'") == 1
    async with database_module.connect(old_database_url, pool_size=2, command_timeout=30) as database:
        for name in OLD_PROJECTS:
            await assert_found(database, name)


async def schema_at(url: str, registry_version: int, project_version: int) -> None:
    """Bring what the first release left up to these versions, as the searchers of their time did."""
    async with connected(url) as connection:
        for step in migration.migrations("registry")[1:registry_version]:
            await connection.execute(step.sql)
            await connection.execute("INSERT INTO lookalike_migration VALUES ($1, now())", step.number)
        for project in await connection.fetch("SELECT id FROM lookalike_project"):
            space = None
            if registry_version > 1:
                sql = "SELECT id FROM lookalike_space WHERE project_id = $1"
                space = await connection.fetchval(sql, project["id"])
            for step in migration.migrations("project")[1:project_version]:
                await connection.execute(fill(step.sql, project["id"], space))
            sql = "UPDATE lookalike_project SET schema_version = $1 WHERE id = $2"
            await connection.execute(sql, project_version, project["id"])


@pytest.mark.parametrize(
    ("registry_version", "project_version"), [(1, 1), (2, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 4), (7, 5)]
)
async def test_what_any_version_left_is_searched_indexed_and_cut_over(
    old_database_url: str, registry_version: int, project_version: int
) -> None:
    """Two searchers of today start on it at once."""
    await schema_at(old_database_url, registry_version, project_version)
    connect = partial(database_module.connect, old_database_url, pool_size=2, command_timeout=30)
    async with AsyncExitStack() as stack:
        database, other = await asyncio.gather(*(stack.enter_async_context(connect()) for _ in range(2)))
        await assert_found(database, "first")
        await assert_found(other, "third")
        new = Embedding(SPACE, encode(vector(500)[np.newaxis])[0])
        reference = Reference("https://shop/new.jpg", "", "", staged=False, labels={})
        assert await writing.store(database, "first", [Entry(sha256(500), (new,), 4, 3, reference)]) == [True]
        await spaces.create(database, "first", "next")
        await spaces.cut_over(other, "first", "next", allow_incomplete=True, index_from=1000)
        assert (await registry.get(database, "first")).serving.name == "next"


async def test_indexes_that_an_earlier_version_calibrated_are_calibrated_again(old_database_url: str) -> None:
    """It may have given them up for exact rankings."""
    await schema_at(old_database_url, 5, 4)
    calibrated = "UPDATE lookalike_space SET index_time = now(), calibrated_count = 1000000, recall_target = 0.99"
    async with connected(old_database_url) as connection:
        await connection.execute(calibrated)
        async with database_module.connect(old_database_url, pool_size=2, command_timeout=30) as database:
            due = statement("maintenance_due"), 1, 0.99, 2.0, 0.05, 1000, index.HNSW_OPTIONS
            async with database.reading() as reader:
                jobs = {row["job"] for row in await reader.fetch(*due)}
    assert jobs == {"rebuild"}  # with today's options, after which it is calibrated


async def test_a_migration_that_fails_leaves_the_version_before_at_work(
    old_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had done of the project before it failed is undone."""
    async with database_module.connect(old_database_url, pool_size=2, command_timeout=30) as database:
        steps = migration.migrations
        broken = "ALTER TABLE {schema}.image RENAME COLUMN sha256 TO hash;\nSELECT 1 / 0;\n"
        added = Migration(len(steps("project")) + 1, broken)
        monkeypatch.setattr(
            migration, "migrations", lambda kind: (*steps(kind), added) if kind == "project" else steps(kind)
        )
        async with connected(old_database_url) as connection:
            with pytest.raises(asyncpg.DivisionByZeroError):
                await migration.migrate(connection)
            assert await versions(connection) == dict.fromkeys(OLD_PROJECTS, added.number - 1)
        for name in OLD_PROJECTS:
            await assert_found(database, name)
