"""What a new connection to PostgreSQL costs and can do."""

import asyncio
import datetime
import re
from pathlib import Path

import pytest

import lookalike_searcher.database as database_package
from lookalike_searcher.database import pool
from lookalike_searcher.database.connection import connected, prepare
from lookalike_searcher.errors import DatabaseUnavailable


@pytest.mark.usefixtures("database")  # which is migrated
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", [2**40]),
        ("integer", [1, 2]),
        ("boolean", [True]),
        ("bytea", [b"\0"]),
        ("text", ["ä"]),
        ("double precision", [0.5]),
        ("date", [datetime.date(2026, 1, 31)]),
        ("timestamptz", [datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)]),
        ("oid", [1]),
        ("halfvec(1)", [b"\0\1\0\0\x3c\0"]),
    ],
)
async def test_lists_of_what_we_store_go_in_and_out(database_url: str, kind: str, values: list[object]) -> None:
    async with connected(database_url) as connection:
        await prepare(connection)
        assert await connection.fetchval(f"SELECT $1::{kind}[]", values) == values


async def test_no_type_is_looked_up_later_as_that_would_leave_a_pooler_without_jit(database_url: str) -> None:
    texts = [path.read_text() for path in Path(database_package.__file__).parent.rglob("*.sql")]
    cast = {kind for text in texts for kind in re.findall(r"::([a-z ]+)\[\]", text)}
    stored = {kind for text in texts for kind in re.findall(r"^ +\w+ +([a-z ]+)\[\]", text, re.MULTILINE)}
    assert {"date", "double precision"} <= cast | stored
    async with connected(database_url) as connection:
        await prepare(connection)
        connection._intro_query = "no statement"
        for kind in cast | stored:
            assert await connection.fetchval(f"SELECT $1::{kind}[]", []) == []


async def test_types_are_found_by_their_numbers_however_many_there_are(database_url: str) -> None:
    """Each project brings a dozen, and each new connection asks."""
    async with connected(database_url) as connection:
        await connection.execute("SET enable_seqscan = off")  # in small catalogues it would be chosen
        plan = await connection.fetch(f"EXPLAIN {connection._intro_query}", [1016])
        assert not [line for (line,) in plan if "Seq Scan" in line]


async def test_a_connection_forgets_what_it_has_met_before_that_is_too_much(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each statement, and each table, of each project takes memory of PostgreSQL's, and time when another is made."""
    monkeypatch.setattr(pool, "_STATEMENTS", 5)
    monkeypatch.setattr(pool, "_QUERIES", 20)
    processes: list[int] = []

    async def ask(texts: range) -> None:
        for text in texts:
            async with database.connection() as connection:
                await connection.fetchval(f"SELECT {text}")
                kept = "SELECT pg_backend_pid(), (SELECT count(*) FROM pg_prepared_statements)"
                [(process, statements)] = await connection.fetch(kept)
                assert statements <= 6
                processes.append(process)

    async with pool.connect(database_url, pool_size=1, command_timeout=60) as database:
        await asyncio.gather(ask(range(15)), ask(range(15, 30)))  # where one waits, the pool gets the connection back
    assert 1 < len(set(processes)) < 10


async def test_a_connection_rests_for_the_next_borrower_unless_somebody_waits_or_it_has_failed(
    database_url: str,
) -> None:
    async with pool.connect(database_url, pool_size=2, command_timeout=60) as database:

        async def one() -> object:
            async with database.connection() as connection:
                return await connection.fetchval("SELECT 1")

        pids = []
        for _ in range(3):
            async with database.connection() as connection:
                pids.append(await connection.fetchval("SELECT pg_backend_pid()"))
        assert len(set(pids)) == 1
        with pytest.raises(DatabaseUnavailable):
            async with database.connection() as connection:
                await connection.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")
        async with database.connection() as connection, database.connection() as other:
            assert await connection.fetchval("SELECT pg_backend_pid()") not in pids
            waiting = asyncio.create_task(one())
            await asyncio.sleep(0)
            assert await other.fetchval("SELECT 1") == 1
        assert await waiting == 1
