"""What Citus needs of the searcher's own statements, as far as it can be seen without a cluster.

Citus hands on the whole text that a statement came in: see docs/citus.md.
"""

import asyncio
import re
from typing import Any

import pytest

from lookalike_searcher.database import migration
from lookalike_searcher.database.connection import prepare
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.topology import Topology
from lookalike_searcher.metrics import Metrics


class Recorder:
    """Stands for a connection: notes what is executed, each call's text apart."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def execute(self, text: str, *_: object) -> str:
        self.texts.append(text)
        return ""


class Types(Recorder):
    """Stands for a new connection: notes what was executed in the transaction when types are looked up."""

    def __init__(self, sharded: bool) -> None:
        super().__init__()
        self._sharded = sharded
        self.looked_up: list[list[str]] = []

    def transaction(self) -> "Types":
        return self

    async def start(self) -> None:
        pass

    async def rollback(self) -> None:
        pass

    async def fetchrow(self, _: str) -> tuple[str, bool]:
        return "public", self._sharded

    async def set_type_codec(self, _: str, **__: object) -> None:
        self.looked_up.append(list(self.texts))

    async def fetchval(self, _: str, *__: object) -> None:
        self.looked_up.append(list(self.texts))


class Pool:
    """Stands for a pool of one connection."""

    def __init__(self, connection: Recorder) -> None:
        self._connection = connection
        self.released = asyncio.Event()

    def get_max_size(self) -> int:
        return 1

    def get_size(self) -> int:
        return 1

    async def acquire(self) -> Recorder:
        return self._connection

    async def release(self, _: Recorder, *, timeout: float) -> None:
        self.released.set()


def statements(text: str) -> list[str]:
    """The statements of a text, without its comments."""
    bare = re.sub(r"--.*", "", text)
    return [part.strip() for part in bare.split(";") if part.strip()]


async def read(*, sharded: bool, settings: str, condition: str = "") -> list[str]:
    """What is executed in a transaction that reads nothing."""
    connection = Recorder()
    pool: Any = Pool(connection)
    database = Database("", pool, command_timeout=60, metrics=Metrics(), topology=Topology(sharded=sharded))
    async with database.reading_if(condition, settings):
        pass
    await database.close()
    assert pool.released.is_set()
    return connection.texts


async def test_each_statement_of_a_projects_migrations_is_sent_by_itself() -> None:
    connection: Any = Recorder()
    await migration.create_schema(connection, 7, 9, 512)
    assert all(len(statements(text)) == 1 for text in connection.texts)
    written = [found for step in migration.migrations("project") for found in statements(step.sql)]
    assert len(connection.texts) == len(written) + 2  # that make the table of vectors anew, in its own dimensions
    assert not any("{" in text for text in connection.texts)


@pytest.mark.parametrize("sharded", [False, True])
async def test_types_are_looked_up_without_a_check_for_each_table_of_the_cluster(sharded: bool) -> None:
    connection: Any = Types(sharded)
    await prepare(connection)
    assert connection.texts == ["SET LOCAL citus.override_table_visibility = off"] * sharded
    assert connection.looked_up == [connection.texts] * 2


async def test_a_setting_for_workers_is_sent_with_nothing_else() -> None:
    asked = {"settings": "SET LOCAL work_mem = '8MB';", "condition": "SELECT FROM lookalike_project"}
    begin, settings, condition, commit = await read(sharded=True, **asked)
    assert begin.startswith("BEGIN ")
    assert begin.endswith("SET LOCAL citus.propagate_set_commands = 'local'")
    assert (settings, condition, commit) == (*asked.values(), "COMMIT")


@pytest.mark.parametrize("settings", ["", "SET LOCAL work_mem = '8MB';"])
async def test_elsewhere_a_transaction_begins_in_one_round_trip(settings: str) -> None:
    begin, commit = await read(sharded=False, settings=settings, condition="SELECT FROM lookalike_project")
    assert begin.startswith("BEGIN ")
    assert begin.endswith(f"{settings}SELECT FROM lookalike_project")
    assert "citus" not in begin
    assert commit == "COMMIT"
