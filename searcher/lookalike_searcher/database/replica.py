"""Follow a read replica: whether it can be reached, and how far it is behind."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from lookalike_searcher.config import Config
from lookalike_searcher.database import pool
from lookalike_searcher.database.connection import UNAVAILABLE, connected
from lookalike_searcher.database.migration import UnusableDatabase
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.replica_lag import Lag
from lookalike_searcher.database.statement import statement
from lookalike_searcher.metrics import Metrics

logger = logging.getLogger(__name__)

_INTERVAL_SECONDS: Final = 1.0
"""Seconds between two checks."""
_PATIENCE_SECONDS: Final = 2.0
"""A server may take so long to tell its position. After that, searches that wait for the replica are made on the
primary."""


class Replica:
    """The read replica is another PostgreSQL, which may be unreachable at times.

    Args:
        url: the URL of the replica.
        config: how far it may be behind, and the size of its pool.
        primary: the database that it replicates.
    """

    def __init__(self, url: str, config: Config, primary: Database) -> None:
        self._url = url
        self._config = config
        self._primary = primary
        self._followed: tuple[asyncpg.Connection[Any], Database] | None = None
        self._lag = Lag()

    def fresh(self) -> Database | None:
        """Return the replica if it can be reached and is not too far behind the primary, otherwise None."""
        if not self._followed or self.lag() > self._config.max_replica_lag:
            return None
        connection, reached = self._followed
        return None if connection.is_closed() else reached  # a replica that restarts may be further behind

    def lag(self) -> float:
        """Return how many seconds it may be behind the primary. Without news of either, that grows."""
        return self._lag.seconds(time.monotonic())

    async def check(self) -> None:
        """Check once whether the replica can be used. A replica that cannot be reached is logged, and is no error.

        Raises:
            UnusableDatabase: it is no replica of the primary.
            asyncpg.PostgresError, ValueError: it cannot be used as configured.
        """
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), connected(self._url) as connection:
                await self._examine(connection)
        except UNAVAILABLE as error:
            if isinstance(error, ValueError):  # asyncpg raises it for an invalid URL
                raise
            logger.warning("the read replica cannot be reached: %r", error)

    async def note(self) -> None:
        """Note the primary's position at each interval, until cancelled."""
        while True:
            try:
                async with self._primary.own_connection() as connection:
                    while True:
                        began = time.monotonic()
                        self._lag.note(began, await _position(connection, "replica_written"))
                        await asyncio.sleep(_INTERVAL_SECONDS)
            except Exception as error:  # of any kind: we try again
                logger.debug("the primary does not say how far it has come: %r", error)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def watch(self) -> None:
        """Compare the replica's position at each interval, and note whether it can be reached, until cancelled."""
        while True:
            try:
                async with self._following() as (connection, reached):
                    while True:
                        self._lag.compare(await _position(connection, "replica_replayed"))
                        self._followed = connection, reached
                        await asyncio.sleep(_INTERVAL_SECONDS)
            except Exception as error:  # of any kind: we try again
                level = logging.WARNING if self._followed else logging.DEBUG  # a warning once for each loss
                logger.log(level, "searches are made on the primary, as the read replica is lost: %r", error)
            finally:
                self._followed = None
            await asyncio.sleep(_INTERVAL_SECONDS)

    @asynccontextmanager
    async def _following(self) -> AsyncIterator[tuple["asyncpg.Connection[Any]", Database]]:
        """Yield a connection to check the replica, and a pool for searches. At the end, searches in flight fail."""
        pool_size, command_timeout = self._config.pool_size, self._config.command_timeout
        async with (
            connected(self._url) as connection,
            pool.connect(self._url, pool_size=pool_size, command_timeout=command_timeout, migrate=False) as reached,
        ):
            try:
                await self._examine(connection)
                logger.info("the read replica is there")
                yield connection, reached
            finally:
                reached.terminate()

    async def _examine(self, connection: "asyncpg.Connection[Any]") -> None:
        """Raise UnusableDatabase if it is no replica of the primary."""
        await _position(connection, "replica_replayed")
        async with self._primary.own_connection() as to_primary:
            systems = {await _system(connection), await _system(to_primary)}
        if len(systems - {None}) > 1:
            raise UnusableDatabase("READ_DATABASE_URL is a replica of another server than DATABASE_URL")


async def _position(connection: "asyncpg.Connection[Any]", name: str) -> int:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        position = await connection.fetchval(statement(name))
    if position is None:
        raise UnusableDatabase("READ_DATABASE_URL must be a streaming replica of DATABASE_URL: it is not in recovery")
    return int(position)


async def _system(connection: "asyncpg.Connection[Any]") -> int | None:
    """Return the identifier that a server shares with its replicas alone; None if we may not read it."""
    try:
        return int(await connection.fetchval(statement("replica_system")))
    except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedFunctionError):
        return None


@asynccontextmanager
async def following(config: Config, primary: Database, metrics: Metrics) -> AsyncIterator[Replica | None]:
    """Follow the configured replica within the block, and yield it; yield None if none is configured.

    Raises:
        UnusableDatabase: it is no replica of the primary.
    """
    if config.read_database_url is None:
        yield None
        return
    replica = Replica(config.read_database_url, config, primary)
    metrics.replica_lag.set_function(replica.lag)
    await replica.check()
    tasks = {asyncio.create_task(replica.note()), asyncio.create_task(replica.watch())}
    try:
        yield replica
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
