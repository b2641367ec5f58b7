"""Lend connections to PostgreSQL, in transactions."""

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg

from lookalike_searcher.database import connection as connections
from lookalike_searcher.database import transaction
from lookalike_searcher.database.admission import Admission
from lookalike_searcher.database.lending import Lender, Loan
from lookalike_searcher.database.outage import Outage
from lookalike_searcher.database.probe import Probe
from lookalike_searcher.database.statement import Connection
from lookalike_searcher.database.topology import Topology, look
from lookalike_searcher.metrics import Metrics
from lookalike_serving.patience import PATIENCE_SECONDS
from lookalike_serving.rpc import time_remaining

if TYPE_CHECKING:
    Lent: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

logger = logging.getLogger(__name__)

_WRITERS: Final = 2
"""So many writers to one project hold a connection: one writes, and the next one waits for it. In small pools it is
one, so that from three connections on, one is always left for other projects."""
_STATEMENTS: Final = 200
"""A connection keeps so many statements prepared. For each table that anybody makes or drops, PostgreSQL looks through
all that a connection has: with 1,000 of them, a new project took twice the processor time."""
_QUERIES: Final = 10_000
"""A connection is replaced after so many statements. PostgreSQL never forgets a table that a connection has met: those
of 3,000 projects took 200 MB."""


class Database:
    """The database is a pool of connections, whose schema is migrated.

    Args:
        url: a PostgreSQL connection URL.
        pool: the connections.
        command_timeout: the most seconds for one statement; a caller's deadline may lower it.
        metrics: observes waits for connections.
        topology: what the connections lead to.

    Attributes:
        probe: asks PostgreSQL whether it answers.
        sharded: whether it is Citus.
        searches_at_once: whether connections keep the settings for walking an index; see `searching`.
    """

    def __init__(
        self,
        url: str,
        pool: "asyncpg.Pool[Any]",
        *,
        command_timeout: float,
        metrics: Metrics,
        topology: Topology,
    ) -> None:
        self._url = url
        self._pool = pool
        self._topology = topology
        self._command_timeout = command_timeout
        self.metrics = metrics
        size = pool.get_max_size()
        self._readers = Admission(max(1, size // 2), PATIENCE_SECONDS)
        self._writers = Admission(max(1, min(_WRITERS, size // 4)), command_timeout)
        self.sharded = topology.sharded
        self.searches_at_once = topology.keeps_settings
        self._outage = Outage()
        self.probe = Probe(url, self._outage)
        self._lender = Lender(pool, command_timeout, metrics)

    def connection(
        self, admission: Admission | None = None, project_name: str = ""
    ) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection of the pool within the block.

        Args:
            admission: limits how many connections a project gets at once.
            project_name: the name of the project that the call is for.

        Raises:
            QuotaExceeded: the call would wait too long for the project's share.
            Overloaded: it would wait too long for any connection.
            DatabaseTimeout: the caller's deadline, or the limit for one statement, has passed.
            DatabaseUnavailable: PostgreSQL cannot be reached, or the connection is lost; uncommitted changes are
                undone.
            DatabaseError: PostgreSQL refused a statement.
        """
        return Loan(self._lender, self._outage, admission, project_name)

    @asynccontextmanager
    async def writing(self, *, project_name: str = "") -> AsyncIterator[Connection]:
        """Lend a connection in a transaction, which is committed at the end of the block.

        Args:
            project_name: the name of the project whose registry row will be locked.
        """
        async with self.connection(self._writers, project_name) as connection:
            try:
                await self._begin(connection, transaction.WRITING)
                yield connection
                await connection.execute("COMMIT")
            except BaseException:
                await transaction.roll_back(connection)
                raise

    @asynccontextmanager
    async def reading(self, settings: str = "", *, project_name: str = "") -> AsyncIterator[Connection]:
        """Lend a connection in a read-only transaction whose statements all see the same state.

        Nobody waits for the COMMIT: what was read is true when the block ends.

        Args:
            settings: `SET LOCAL` statements, each ended by a semicolon.
            project_name: the name of the project; one project gets at most half of the connections.
        """
        async with self.reading_if("", settings, project_name=project_name) as (connection, _):
            yield connection

    @asynccontextmanager
    async def reading_if(
        self, condition: str, settings: str = "", *, project_name: str = ""
    ) -> AsyncIterator[tuple[Connection, bool]]:
        """Lend a connection as `reading` does, and say whether a condition holds in the transaction. Yields both.

        The condition travels with BEGIN, and so costs no round trip of its own.

        Args:
            condition: a SELECT without parameters, which returns one row if the condition holds.
            settings: see `reading`.
            project_name: see `reading`.
        """
        with connections.failures_translated(self._outage):
            connection = await self._lender.borrow(self._readers, project_name)
            try:
                holds = await self._begin(connection, transaction.READING, settings, condition)
                yield connection, holds
            except BaseException:
                try:
                    await transaction.roll_back(connection)
                finally:
                    self._lender.give_back(connection, self._readers, project_name, in_order=False)
                raise
            self._lender.do_later(self._end_reading(connection, project_name))

    def searching(self, project_name: str) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection for what a search reads by single statements, each in a transaction of its own.

        They see different states, and none may take longer than the limit for one statement.

        Args:
            project_name: see `reading`.
        """
        return self.connection(self._readers, project_name)

    def check_room(self, project_name: str) -> None:
        """Refuse a call that reads a project if `reading` would: a refusal that comes before all work costs least.

        Raises:
            QuotaExceeded: the call would wait too long for the project's share.
            Overloaded: it would wait too long for any connection.
        """
        self._lender.check(self._readers, project_name)

    @property
    def calls_wait(self) -> bool:
        """Say whether any call that reads waits for its project's share of the connections."""
        return self._readers.calls_wait

    async def _begin(self, connection: Connection, kind: str, settings: str = "", condition: str = "") -> bool:
        seconds = min(self._command_timeout, time_remaining())
        return await transaction.begin(connection, kind, self._topology, seconds, settings, condition)

    async def _end_reading(self, connection: "Lent", project_name: str) -> None:
        """End a transaction whose end nobody waits for, and give its connection back."""
        in_order = False
        try:
            try:
                await connection.execute("COMMIT")
                in_order = True
            except BaseException:
                await transaction.roll_back(connection)
                raise
            finally:
                self._lender.give_back(connection, self._readers, project_name, in_order=in_order)
        except connections.FAILURES as error:
            logger.warning("a connection was lost after what it had read was answered: %r", error)

    async def shard_schemas(self, connection: Connection) -> None:
        """Let a schema that this transaction creates be placed on a worker, if there are workers."""
        if self.sharded:
            await connection.execute("SET LOCAL citus.enable_schema_based_sharding = on")

    @asynccontextmanager
    async def own_connection(self, settings: str = "") -> AsyncIterator["asyncpg.Connection[Any]"]:
        """Open a connection outside of the pool, for long statements. It raises asyncpg's errors.

        Args:
            settings: `SET` statements; left out behind a pooler, where they would stay with connections of others.
        """
        async with connections.connected(self._url) as connection:
            if settings and not self._topology.pooled:
                await connection.execute(settings)
            yield connection

    async def close(self) -> None:
        """End the probe, and give all connections back to the pool."""
        self.probe.terminate()
        await self._lender.close()

    def terminate(self) -> None:
        """End all connections and the pool. Calls in flight, and later ones, raise DatabaseUnavailable."""
        self._pool.terminate()
        self.probe.terminate()


@asynccontextmanager
async def connect(
    url: str, *, pool_size: int, command_timeout: float, metrics: Metrics | None = None, migrate: bool = True
) -> AsyncIterator[Database]:
    """Migrate the database at `url` and keep a pool of connections to it.

    Args:
        url: a PostgreSQL connection URL.
        pool_size: the most connections.
        command_timeout: the most seconds that one statement may take.
        metrics: observes waits for connections.
        migrate: whether to migrate; not on a replica, which gets migrations from the primary.
    """
    topology = await look(url, migrate=migrate)
    async with asyncpg.create_pool(
        url,
        min_size=0,
        max_size=pool_size,
        timeout=connections.CONNECT_SECONDS,
        command_timeout=command_timeout + connections.NET_SECONDS,
        init=partial(connections.prepare_for_walks, timeout=command_timeout)
        if topology.keeps_settings
        else connections.prepare,
        reset=connections.keep,
        statement_cache_size=0 if topology.pooled else _STATEMENTS,
        max_queries=_QUERIES,
    ) as pool:
        metrics = metrics or Metrics()
        database = Database(url, pool, command_timeout=command_timeout, metrics=metrics, topology=topology)
        try:
            yield database
        finally:
            await database.close()
