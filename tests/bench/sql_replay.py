"""The SQL of searches by itself: recorded as the searcher's own code sends it, then sent again through asyncpg."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from lookalike_searcher.database import pool as databases
from lookalike_searcher.database.connection import prepare_for_walks
from lookalike_searcher.projects import known, registry
from lookalike_searcher.search import rank
from lookalike_searcher.search.types import Search

Statements = list[tuple[str, tuple[object, ...]]]


async def recorded(url: str, searches: Sequence[Search]) -> list[Statements]:
    """For each search, all statements that it takes in a project that is known, with their arguments."""
    sent: Statements = []

    def note(query: Any) -> None:  # noqa: ANN401 - asyncpg's, which has no public type
        sent.append((query.query, query.args))

    async with databases.connect(url, pool_size=1, command_timeout=60) as database:
        async with database.connection() as connection:  # the only one there is
            connection.add_query_logger(note)

        async def statements(search: Search) -> Statements:
            sent.clear()
            await rank.rank(database, search)
            async with database.connection():  # which is lent when the search has ended
                await asyncio.sleep(0)  # for asyncpg's own call of the logger
            return sent.copy()

        await rank.rank(database, searches[0])
        # Twice, and the fewer count: live recall may write to the registry meanwhile, and then more is read.
        return [min([await statements(asked) for _ in range(2)], key=len) for asked in searches]


@dataclass
class Replay:
    """A connection with prepared statements, as asyncpg keeps them by itself.

    Attributes:
        connection: it.
        project: the name of the searched project, whose versions are read again where they have changed.
        statement: seconds of the longest statement of each search that was sent, which is the one that ranks.
    """

    connection: "asyncpg.Connection[Any]"
    project: str
    statement: list[float]
    _versions: str = ""

    async def send(self, statements: Statements) -> float:
        """Seconds that the statements of one search take, one after the other."""
        began = before = time.perf_counter()
        longest = 0.0
        for sql, arguments in statements:
            if arguments:
                await self._rank(sql, arguments)
            else:
                await self.connection.execute(sql)
            now = time.perf_counter()
            longest, before = max(longest, now - before), now
        self.statement.append(longest)
        return before - began

    async def _rank(self, sql: str, arguments: tuple[object, ...]) -> None:
        """As the searcher does, whose live recall writes to the registry meanwhile: else nothing would be found."""
        *others, last = arguments
        rows = await self.connection.fetch(sql, *others, self._versions or last)
        if not rows[0]["found"]:
            project = await registry.read(self.connection, self.project)
            self._versions = known.versions_of(project)
            await self.connection.fetch(sql, *others, self._versions)


@asynccontextmanager
async def replay(url: str, project: str) -> AsyncIterator[Replay]:
    """A connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await prepare_for_walks(connection, timeout=60)
        yield Replay(connection, project, [])
    finally:
        await connection.close()
