"""Ask PostgreSQL whether it answers, on a connection of its own."""

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg

from lookalike_searcher.database import connection as connections
from lookalike_searcher.errors import DatabaseTimeout, DatabaseUnavailable

if TYPE_CHECKING:
    from asyncpg import Connection


class Probe:
    """The probe keeps one connection outside of the pool, so that no queue for the pool keeps it waiting.

    Args:
        url: a PostgreSQL connection URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = False
        self._alone = asyncio.Lock()  # two at once would open two connections, and lose one
        self._connection: Connection[Any] | None = None

    async def ping(self) -> None:
        """Check that PostgreSQL answers a statement. A connection that was lost since the last time is replaced once.

        Raises:
            DatabaseTimeout: it takes its time.
            DatabaseUnavailable: it cannot be reached.
        """
        async with self._alone:
            with connections.failures_translated():
                try:
                    await self._ping()
                except TimeoutError as error:
                    self._drop()
                    raise DatabaseTimeout from error

    async def _ping(self) -> None:
        if self._connection:
            try:
                return await self._ask(self._connection)
            except connections.FAILURES as error:
                self._drop()
                if isinstance(error, TimeoutError):
                    raise
        if not self._ended:
            self._connection = await asyncpg.connect(
                self._url, statement_cache_size=0, timeout=connections.CONNECT_SECONDS
            )
        if self._ended or not self._connection:  # also if it ended meanwhile
            self._drop()
            raise DatabaseUnavailable
        return await self._ask(self._connection)

    def terminate(self) -> None:
        """End the connection, and let later calls raise DatabaseUnavailable."""
        self._ended = True
        self._drop()

    def _drop(self) -> None:
        if self._connection:
            self._connection.terminate()
            self._connection = None

    async def _ask(self, connection: "Connection[Any]") -> None:
        await connection.execute("SELECT FROM lookalike_project LIMIT 1", timeout=connections.NET_SECONDS)
