"""On a cluster: where a project lands. Anywhere: what its writers hold besides the row's lock, for the cluster's sake.

DATABASE_URL points the tests at a cluster; see docs/citus.md.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from lookalike_searcher.database import pool
from lookalike_searcher.database.halfvec import encode
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import schema_of
from lookalike_searcher.errors import DatabaseUnavailable
from lookalike_searcher.images import writing
from lookalike_searcher.images.image import Embedding, Entry, Reference
from lookalike_searcher.projects import registry, spaces
from lookalike_searcher.projects.project import Limits, Project
from tests import postgres
from tests.indexer import sha256, vector
from tests.polling import until


@pytest.fixture
async def bare_project(database: Database) -> AsyncIterator[Project]:
    """An empty project, made without a server."""
    created = await registry.create(database, f"bare-{uuid.uuid4().hex}", "one", Limits())
    yield created
    await registry.delete(database, created.name)


async def test_all_of_a_project_is_on_one_worker(database: Database, bare_project: Project) -> None:
    if not database.sharded:
        pytest.skip("Citus is needed: let DATABASE_URL name its coordinator")
    await spaces.create(database, bare_project.name, "two")
    async with database.connection() as connection:
        placed = await connection.fetch(
            "SELECT logicalrelid::text AS name, groupid"
            " FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)"
            " WHERE logicalrelid::text LIKE $1",
            f"{schema_of(bare_project.id)}.%",
        )
    assert len({row["name"] for row in placed}) == 6
    assert len({row["groupid"] for row in placed}) == 1


@pytest.fixture
async def recovering() -> AsyncIterator[Database]:
    """A database whose transactions can be prepared, as those of workers are."""
    with postgres.primary("max_prepared_transactions=2") as server:
        async with pool.connect(server.url, pool_size=5, command_timeout=30) as database:
            await registry.create(database, "shop", "one", Limits())
            yield database


async def test_a_writer_who_meets_a_transaction_that_is_recovered_is_to_try_again(recovering: Database) -> None:
    """A worker has prepared it and died, the coordinator has committed it and given up its locks."""
    entry = Entry(
        sha256(1), (Embedding("one", encode(vector(1)[None])[0]),), 4, 3, Reference("https://shop/1", "", "", False, {})
    )
    async with recovering.own_connection() as worker:
        await worker.execute("BEGIN")
        await worker.execute("INSERT INTO p1.image (sha256, width, height) VALUES ($1, 4, 3)", sha256(1))
        await worker.execute("PREPARE TRANSACTION 'lost'")
        storing = asyncio.create_task(writing.store(recovering, "shop", [entry]))
        await until(lambda: worker.fetchval("SELECT true FROM pg_locks WHERE NOT granted"))
        await worker.execute("COMMIT PREPARED 'lost'")
        with pytest.raises(DatabaseUnavailable):
            await storing
    assert await writing.store(recovering, "shop", [entry]) == [True]


async def test_a_writer_comes_when_the_one_before_has_given_up_all_its_locks(
    database: Database, bare_project: Project
) -> None:
    """On Citus the row is free just before a worker has committed."""
    nothing = writing.Names(uris=["nowhere"], products=[], sha256s=[])
    async with database.connection() as connection:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(68771, $1)", bare_project.id)
            writer = asyncio.create_task(writing.delete(database, bare_project.name, nothing))
            waiting = None
            while not waiting and not writer.done():
                waiting = await connection.fetchval(
                    "SELECT true FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted",
                    bare_project.id,
                )
            assert not writer.done()
        assert await writer == writing.Deleted(0, 0)
