"""Connections to PostgreSQL, and the one place where its failures become ours."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from pgvector.asyncpg import register_vector

from lookalike.status import DomainError
from lookalike_searcher import migration
from lookalike_searcher.errors import DatabaseError, DatabaseUnavailable
from lookalike_searcher.statement import Connection

logger = logging.getLogger(__name__)

_UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,  # the connection was lost before or during the call
    asyncpg.InternalClientError,  # the same, seen in the middle of the protocol
    asyncpg.OperatorInterventionError,  # PostgreSQL is starting, stopping, or was told to end the session
    asyncpg.TooManyConnectionsError,
)


class Database:
    """A pool of connections to a migrated database."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of the pool.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be reached, or went away; what was not committed is undone.
            DatabaseError: PostgreSQL refused a statement.
        """
        try:
            async with self._pool.acquire() as connection:
                yield connection
        except DomainError:
            raise
        except asyncpg.DataError as error:  # asyncpg's own: we passed what the statement does not take
            logger.exception("a statement does not take its arguments")
            raise DatabaseError from error
        except _UNAVAILABLE as error:
            logger.warning("the database is unavailable: %r", error)
            raise DatabaseUnavailable from error
        except asyncpg.PostgresError as error:
            logger.exception("the database refused a statement")
            raise DatabaseError from error

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """A connection in a transaction, committed at the end of the block."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection in a read-only transaction whose statements all see the same state."""
        async with (
            self.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    async def ping(self) -> None:
        """Ask PostgreSQL for an answer. Raises DatabaseUnavailable if there is none."""
        async with self.connection() as connection:
            await connection.execute("SELECT FROM lookalike_project LIMIT 1")


@asynccontextmanager
async def connect(url: str, *, pool_size: int, command_timeout: float) -> AsyncIterator[Database]:
    """Migrate the database at `url` and keep a pool of connections to it.

    Args:
        url: a PostgreSQL connection URL.
        pool_size: the most connections.
        command_timeout: the most seconds that one statement may take.
    """
    first = await asyncpg.connect(url)
    try:
        await migration.migrate(first)
    finally:
        await first.close()
    async with asyncpg.create_pool(
        url, min_size=1, max_size=pool_size, command_timeout=command_timeout, init=register_vector
    ) as pool:
        yield Database(pool)
