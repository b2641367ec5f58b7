"""A read replica: whether it is there, and how far it is behind."""

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
"""Between two looks."""
_PATIENCE_SECONDS: Final = 2.0
"""How long a server may take to say where it is. Searches that wait for a replica that does not are then made on the
primary."""


class Replica:
    """A read replica, which may be away.

    Args:
        url: where it is.
        config: how far it may be behind, and how much may be asked of it.
        primary: what it replicates.
    """

    def __init__(self, url: str, config: Config, primary: Database) -> None:
        self._url = url
        self._config = config
        self._primary = primary
        self._followed: tuple[asyncpg.Connection[Any], Database] | None = None
        self._lag = Lag()

    def fresh(self) -> Database | None:
        """The replica, if it can be reached and is near enough to the primary."""
        if not self._followed or self.lag() > self._config.max_replica_lag:
            return None
        connection, reached = self._followed
        return None if connection.is_closed() else reached  # it has ended, and may come back as it was earlier

    def lag(self) -> float:
        """Seconds that it may be behind the primary. Without news of either, that grows."""
        return self._lag.seconds(time.monotonic())

    async def check(self) -> None:
        """Look at it once. Being away is no error.

        Raises:
            UnusableDatabase: it is no replica of the primary.
            asyncpg.PostgresError, ValueError: it cannot be used as configured.
        """
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), connected(self._url) as connection:
                await self._examine(connection)
        except UNAVAILABLE as error:
            if isinstance(error, ValueError):  # asyncpg's, of the URL
                raise
            logger.warning("the read replica cannot be reached: %r", error)

    async def note(self) -> None:
        """Note how far the primary has come, until cancelled."""
        while True:
            try:
                async with self._primary.own_connection() as connection:
                    while True:
                        began = time.monotonic()
                        self._lag.note(began, await _position(connection, "replica_written"))
                        await asyncio.sleep(_INTERVAL_SECONDS)
            except Exception as error:  # whatever it is, it is tried again
                logger.debug("the primary does not say how far it has come: %r", error)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def watch(self) -> None:
        """See how far the replica has come, and whether it is there, until cancelled."""
        while True:
            try:
                async with self._following() as (connection, reached):
                    while True:
                        self._lag.compare(await _position(connection, "replica_replayed"))
                        self._followed = connection, reached
                        await asyncio.sleep(_INTERVAL_SECONDS)
            except Exception as error:  # likewise
                level = logging.WARNING if self._followed else logging.DEBUG  # once for each time that it goes
                logger.log(level, "searches are made on the primary, as the read replica is lost: %r", error)
            finally:
                self._followed = None
            await asyncio.sleep(_INTERVAL_SECONDS)

    @asynccontextmanager
    async def _following(self) -> AsyncIterator[tuple["asyncpg.Connection[Any]", Database]]:
        """A connection to ask, and a pool to search by. Whoever searches when this ends must do so elsewhere."""
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
        """Raises UnusableDatabase if it is no replica of the primary."""
        await _position(connection, "replica_replayed")
        async with self._primary.own_connection() as other:
            systems = {await _system(connection), await _system(other)}
        if len(systems - {None}) > 1:
            raise UnusableDatabase("READ_DATABASE_URL is a replica of another server than DATABASE_URL")


async def _position(connection: "asyncpg.Connection[Any]", name: str) -> int:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        position = await connection.fetchval(statement(name))
    if position is None:
        raise UnusableDatabase("READ_DATABASE_URL must be a streaming replica of DATABASE_URL: it is not in recovery")
    return int(position)


async def _system(connection: "asyncpg.Connection[Any]") -> int | None:
    """What tells the server from all but its replicas; None where we may not ask."""
    try:
        return int(await connection.fetchval(statement("replica_system")))
    except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedFunctionError):
        return None


@asynccontextmanager
async def following(config: Config, primary: Database, metrics: Metrics) -> AsyncIterator[Replica | None]:
    """The replica that is configured, if one is, and tasks that watch how far it is behind.

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
