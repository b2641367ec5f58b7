"""A search knows its project from the searches before, and yet sees at once what anybody has changed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import grpc
import numpy as np
import pytest

from lookalike import errors
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.database import pool
from lookalike_searcher.database.halfvec import encode
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import schema_of, statement
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.projects import known, registry, spaces
from lookalike_searcher.projects.project import Limits, Project
from lookalike_searcher.search import rank, views
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.types import Reason, Search
from tests.indexer import Writer, vector
from tests.lock_holder import LockHolder

NEW = "another-512"


class Opening(NamedTuple):
    """What a transaction begins with."""

    settings: str = ""


@pytest.fixture
async def writer(searcher_channel: grpc.aio.Channel, project: str, database: Database) -> Writer:
    """A project with a second, empty space. The registry says that the first one has an index."""
    stub = SearcherServiceStub(searcher_channel)
    found = await stub.GetProject(wire.GetProjectRequest(name=project))
    writer = Writer(stub, project, found.project.space)
    await writer.send(*(writer.request(seed) for seed in range(3)))
    await spaces.create(database, project, NEW)
    async with registry.writing(database, project) as (connection, stored):
        await connection.execute(statement("space_indexed"), stored.serving.id, 40, 100, 0.99, 3)
    return writer


async def answered(writer: Writer, **query: object) -> str:
    """How a search is made, or why it is refused."""
    try:
        found = await writer.stub.Search(wire.SearchRequest(project=writer.project, **query))
    except grpc.aio.AioRpcError as error:
        return errors.from_rpc(error, "searcher").reason
    return f"{len(found.hits)} hits, {wire.SearchMode.Name(found.mode)}"


async def disabled(database: Database, project: Project) -> None:
    await registry.update(database, project.name, None, search_disabled=True)


async def limited(database: Database, project: Project) -> None:
    await registry.update(database, project.name, Limits(max_hits=1), search_disabled=None)


async def unindexed(database: Database, project: Project) -> None:
    async with database.writing() as connection:
        await connection.execute(statement("space_unindexed"), project.serving.id)


async def cut_over(database: Database, project: Project) -> None:
    await spaces.cut_over(database, project.name, NEW, allow_incomplete=True, index_from=100)


async def deleted(database: Database, project: Project) -> None:
    await registry.delete(database, project.name)


async def made_anew(database: Database, project: Project) -> None:
    await registry.delete(database, project.name)
    await registry.create(database, project.name, project.space, Limits())


@pytest.mark.parametrize(
    ("change", "by_vector", "by_image"),
    [
        (disabled, "SEARCH_DISABLED", "SEARCH_DISABLED"),
        (limited, "HIT_QUOTA_EXCEEDED", "HIT_QUOTA_EXCEEDED"),
        (unindexed, "3 hits, SEARCH_MODE_EXACT", "3 hits, SEARCH_MODE_EXACT"),
        (cut_over, "WRONG_SPACE", "IMAGE_NOT_FOUND"),
        (deleted, "PROJECT_NOT_FOUND", "PROJECT_NOT_FOUND"),
        (made_anew, "0 hits, SEARCH_MODE_EXACT", "IMAGE_NOT_FOUND"),
    ],
)
async def test_the_next_search_sees_what_another_searcher_has_changed(
    writer: Writer,
    database_url: str,
    change: Callable[[Database, Project], Awaitable[None]],
    by_vector: str,
    by_image: str,
) -> None:
    """A search by a vector takes one statement, and one by an image of the project more."""
    image = writer.request(1)
    given, named = {"embedding": image.embedding}, {"sha256": image.sha256}
    for query in (given, named) * 2:
        assert await answered(writer, **query) == "3 hits, SEARCH_MODE_APPROXIMATE"
    async with pool.connect(database_url, pool_size=2, command_timeout=30) as other:
        await change(other, await registry.get(other, writer.project))
    assert await answered(writer, **given) == by_vector
    assert await answered(writer, **named) == by_image
    if change is deleted:
        await writer.stub.CreateProject(wire.CreateProjectRequest(name=writer.project, space=writer.space))


async def test_the_registry_is_read_for_the_first_of_many_searches_alone(writer: Writer, database_url: str) -> None:
    sent: list[str] = []
    async with pool.connect(database_url, pool_size=1, command_timeout=30) as database:
        async with database.connection() as connection:  # the only one there is
            connection.add_query_logger(lambda logged: sent.append(logged.query))
        for _ in range(3):
            async with known.reading(database, writer.project, "", lambda _: Opening()) as (_, project, _):
                assert [space.name for space in project.spaces] == [writer.space, NEW]
        async with database.connection():  # which is lent when the last transaction has ended
            pass
    first = [text.split()[0] for text in sent[:3]]
    assert (len(sent), first) == (3 + 2 + 2, ["BEGIN", "SELECT", "COMMIT"])


async def test_a_search_by_a_vector_takes_one_statement_in_a_known_project(writer: Writer, database_url: str) -> None:
    """Also if nothing is similar enough. And three if somebody has changed it: the registry is read between two."""
    sent: list[str] = []
    embedding = Embedding(writer.space, encode(vector(1)[np.newaxis])[0])
    unlike = Embedding(writer.space, encode(-vector(1)[np.newaxis])[0])
    async with pool.connect(database_url, pool_size=1, command_timeout=30) as database:

        async def statements(query: Embedding, min_similarity: float = -1) -> tuple[int, list[str]]:
            async with database.connection():  # which is lent when the search before has ended
                await asyncio.sleep(0)  # for asyncpg's own call of the logger
            sent.clear()
            asked = Search(writer.project, Query((Example(query),)), 2, min_similarity=min_similarity)
            ranking = await rank.rank(database, asked)
            assert ranking.reason is Reason.INDEX
            await asyncio.sleep(0)
            return len(ranking.hits), [text.split()[0] for text in sent]

        async with database.connection() as connection:  # the only one there is
            connection.add_query_logger(lambda logged: sent.append(logged.query))
        await statements(embedding)
        assert await statements(embedding) == (2, ["WITH"])
        assert await statements(unlike, 0.99) == (0, ["WITH"])
        async with pool.connect(database_url, pool_size=1, command_timeout=30) as other:
            await registry.update(other, writer.project, Limits(max_hits=100), search_disabled=None)
        assert await statements(embedding) == (2, ["WITH", "SELECT", "WITH"])


async def test_what_finds_nothing_similar_through_the_index_is_not_ranked_exactly_again(
    writer: Writer, database_url: str
) -> None:
    """In a transaction, as the first search of a project is, and all views are: an empty answer is no failed walk."""
    sent: list[str] = []
    unlike = Embedding(writer.space, encode(-vector(1)[np.newaxis])[0])
    asked = Search(writer.project, Query((Example(unlike),)), 2, min_similarity=0.99, views=(unlike,))
    async with pool.connect(database_url, pool_size=1, command_timeout=30) as database:
        async with database.connection() as connection:  # the only one there is
            connection.add_query_logger(lambda logged: sent.append(logged.query))
        ranking = await rank.rank(database, asked)
        assert (ranking.hits, ranking.reason) == ([], Reason.INDEX)
        assert await views.candidates(database, asked, ranking) == []
        async with database.connection():  # which is lent when the last transaction has ended
            await asyncio.sleep(0)  # for asyncpg's own call of the logger
        assert len([text for text in sent if text.startswith("WITH")]) == 2
        assert [metric.samples for metric in database.metrics.fallbacks.collect()] == [[]]


async def test_a_search_of_one_statement_waits_for_a_deletion_without_holding_a_table(
    writer: Writer, database: Database, lock_holder: LockHolder
) -> None:
    """Else the two would meet in a deadlock: whoever deletes locks this table first, and then the others."""
    project = await registry.get(database, writer.project)
    query = {"embedding": writer.request(1).embedding}
    await answered(writer, **query)
    await lock_holder.lock(writer.project, tables=True)
    await lock_holder.until_alone(schema_of(project.id))
    searching = asyncio.create_task(answered(writer, **query))
    await lock_holder.until_waiting(1)
    held = await lock_holder.tables_of_others(schema_of(project.id))
    await lock_holder.unlock()
    assert await searching == "3 hits, SEARCH_MODE_APPROXIMATE"
    assert held == []


async def test_who_deletes_waits_for_the_table_that_searches_lock_first(
    writer: Writer, database: Database, lock_holder: LockHolder
) -> None:
    project = await registry.get(database, writer.project)
    transaction = lock_holder.connection.transaction()
    await transaction.start()
    await lock_holder.connection.execute(f"LOCK TABLE {schema_of(project.id)}.image IN ACCESS SHARE MODE")
    await lock_holder.until_alone(schema_of(project.id))
    deletion = asyncio.create_task(spaces.delete(database, writer.project, NEW))
    await lock_holder.until_waiting(1)
    held = await lock_holder.tables_of_others(schema_of(project.id))
    await transaction.rollback()
    await deletion
    assert held == []


async def test_a_space_that_was_made_since_is_found(writer: Writer, database: Database) -> None:
    asked = wire.SearchRequest(project=writer.project, sha256=writer.request(1).sha256)
    await writer.stub.Search(asked)
    await spaces.create(database, writer.project, "made-since-512")
    async with known.reading(database, writer.project, "made-since-512", lambda _: Opening()) as (_, project, _):
        assert project.in_space("made-since-512").index_time is None


async def test_a_project_is_read_again_if_a_table_was_dropped_before_it_was_held(
    writer: Writer, database: Database, lock_holder: LockHolder
) -> None:
    """Its snapshot, taken before, shows it as it was known."""

    async def names(settings: str) -> list[str]:
        async with known.reading(database, writer.project, "", lambda _: Opening(settings)) as (_, project, _):
            return [space.name for space in project.spaces]

    assert await names("") == [writer.space, NEW]
    await lock_holder.connection.execute("SELECT pg_advisory_lock(68771, 2)")
    reading = asyncio.create_task(names("SELECT pg_advisory_xact_lock_shared(68771, 2);"))
    await lock_holder.until_waiting(1)
    await writer.stub.DeleteSpace(wire.DeleteSpaceRequest(project=writer.project, space=NEW))
    await lock_holder.connection.execute("SELECT pg_advisory_unlock(68771, 2)")
    assert await reading == [writer.space]
