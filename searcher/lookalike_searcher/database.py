"""Connections to PostgreSQL, and the one place where its failures become ours."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

from lookalike.request import time_remaining
from lookalike.status import DomainError
from lookalike_searcher import migration
from lookalike_searcher.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.shares import Shares
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
    asyncpg.SerializationError,  # on a replica: what we read was vacuumed away on the primary
)
_WRITERS: Final = 2
"""Writers to one project that hold a connection: one that writes, and the next, as they follow one another."""
_NET_SECONDS: Final = 5.0
"""How much longer than PostgreSQL's own timeout we wait for its answer: then the connection is dead."""


class Database:
    """A pool of connections to a migrated database.

    Args:
        url: where PostgreSQL is.
        pool: the connections.
        command_timeout: the most seconds that one statement may take; a caller's deadline may make it less.
        metrics: is told of waits.
        pooled: whether a pooler stands between.
        sharded: whether it is Citus, where a project's schema lives on a worker.
    """

    def __init__(
        self,
        url: str,
        pool: "asyncpg.Pool[Any]",
        *,
        command_timeout: float,
        metrics: Metrics,
        pooled: bool = False,
        sharded: bool = False,
    ) -> None:
        self._url = url
        self._pool = pool
        self._pooled = pooled
        self._command_timeout = command_timeout
        self._metrics = metrics
        self._readers, self._writers = Shares(max(1, pool.get_max_size() // 2)), Shares(_WRITERS)
        self.sharded = sharded

    @asynccontextmanager
    async def connection(self, shares: Shares | None = None, project: str = "") -> AsyncIterator[Connection]:
        """A connection of the pool.

        Args:
            shares: what bounds how many a project gets at once.
            project: on whose behalf.

        Raises:
            QuotaExceeded: too many calls wait for the project's share.
            DatabaseTimeout: the caller's deadline, or the limit for one statement, has passed.
            DatabaseUnavailable: PostgreSQL cannot be reached, or went away; what was not committed is undone.
            DatabaseError: PostgreSQL refused a statement.
        """
        try:
            async with AsyncExitStack() as stack:
                with self._metrics.pool_wait.time():
                    if shares and project:
                        await stack.enter_async_context(shares.of(project))
                    connection = await stack.enter_async_context(self._pool.acquire(timeout=self._command_timeout))
                yield connection
        except DomainError:
            raise
        except asyncpg.QueryCanceledError as error:
            raise DatabaseTimeout from error
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
    async def writing(self, *, project: str = "") -> AsyncIterator[Connection]:
        """A connection in a transaction, committed at the end of the block.

        Args:
            project: whose registry row will be locked.
        """
        async with self.connection(self._writers, project) as connection, self._transaction(connection, "BEGIN"):
            yield connection

    @asynccontextmanager
    async def reading(self, settings: str = "", *, project: str = "") -> AsyncIterator[Connection]:
        """A connection in a read-only transaction whose statements all see the same state.

        Args:
            settings: `SET LOCAL` statements, each ended by a semicolon.
            project: on whose behalf: one project gets at most half of the connections.
        """
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off"
        async with (
            self.connection(self._readers, project) as connection,
            self._transaction(connection, begin, settings),
        ):
            yield connection

    @asynccontextmanager
    async def _transaction(self, connection: Connection, begin: str, settings: str = "") -> AsyncIterator[None]:
        """A transaction that is begun, with its settings, in one round trip. No setting outlives it."""
        milliseconds = max(1, round(min(self._command_timeout, time_remaining()) * 1000))
        propagate = "SET LOCAL citus.propagate_set_commands = 'local'; " if self.sharded else ""
        await connection.execute(f"{begin}; SET LOCAL statement_timeout = {milliseconds}; {propagate}{settings}")
        try:
            yield
        except BaseException:
            with suppress(*_UNAVAILABLE):
                await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")

    async def shard_schemas(self, connection: Connection) -> None:
        """In this transaction, let a schema that is created be placed on a worker, where there are workers."""
        if self.sharded:
            await connection.execute("SET LOCAL citus.enable_schema_based_sharding = on")

    @asynccontextmanager
    async def own_connection(self, settings: str = "") -> AsyncIterator["asyncpg.Connection[Any]"]:
        """A connection outside of the pool, for what takes long; its errors are asyncpg's.

        Args:
            settings: `SET` statements for it. Left out behind a pooler, where they would stay with others' connections.
        """
        connection = await asyncpg.connect(self._url, statement_cache_size=0)
        try:
            if settings and not self._pooled:
                await connection.execute(settings)
            yield connection
        finally:
            await connection.close(timeout=_NET_SECONDS)

    async def ping(self) -> None:
        """Ask PostgreSQL for an answer. Raises DatabaseUnavailable if there is none."""
        async with self.connection() as connection:
            await connection.execute("SELECT FROM lookalike_project LIMIT 1")


async def prepare(connection: "asyncpg.Connection[Any]") -> None:
    """Make a new connection ready: vectors go in and out as bytes, see `vector`.

    In a transaction, as behind a pooler the statements that look types up might else reach different servers.
    """
    async with connection.transaction():
        schema = await connection.fetchval(
            "SELECT nspname FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace WHERE typname = 'halfvec'"
        )
        await connection.set_type_codec("halfvec", schema=schema, encoder=bytes, decoder=bytes, format="binary")


async def _nothing(connection: "asyncpg.Connection[Any]") -> None:
    """To reset a connection, as ours keep no state outside of transactions; asyncpg's way costs a round trip."""


async def is_pooled(connection: "asyncpg.Connection[Any]") -> bool:
    """Whether a pooler such as PgBouncer sits between us and PostgreSQL: it makes up the process number we are told."""
    return connection.get_server_pid() != int(await connection.fetchval("SELECT pg_backend_pid()::text"))


@asynccontextmanager
async def connect(
    url: str, *, pool_size: int, command_timeout: float, metrics: Metrics | None = None, migrate: bool = True
) -> AsyncIterator[Database]:
    """Migrate the database at `url` and keep a pool of connections to it.

    Args:
        url: a PostgreSQL connection URL.
        pool_size: the most connections.
        command_timeout: the most seconds that one statement may take.
        metrics: is told of waits.
        migrate: whether to migrate; not on a replica, where that comes from the primary.
    """
    first = await asyncpg.connect(url, statement_cache_size=0)
    try:
        async with first.transaction():
            pooled = await is_pooled(first)
        if migrate:
            await migration.migrate(first)
        async with first.transaction():
            sharded = bool(await first.fetchval("SELECT true FROM pg_extension WHERE extname = 'citus'"))
    finally:
        await first.close()
    if pooled:
        logger.info("a pooler stands before PostgreSQL: statements are not kept prepared")
    async with asyncpg.create_pool(
        url,
        min_size=1,
        max_size=pool_size,
        command_timeout=command_timeout + _NET_SECONDS,
        init=prepare,
        reset=_nothing,
        statement_cache_size=0 if pooled else 1000,
    ) as pool:
        yield Database(
            url,
            pool,
            command_timeout=command_timeout,
            metrics=metrics or Metrics(),
            pooled=pooled,
            sharded=sharded,
        )
