"""Find out what stands at a URL: one PostgreSQL, a pooler before it, or a cluster."""

import logging
from typing import NamedTuple

from lookalike_searcher.database import connection as connections
from lookalike_searcher.database import migration

logger = logging.getLogger(__name__)


class Topology(NamedTuple):
    """The topology says what is between us and a project's tables.

    Attributes:
        pooled: whether a pooler stands before PostgreSQL.
        sharded: whether it is Citus, where a project's schema lives on a worker.
    """

    pooled: bool = False
    sharded: bool = False

    @property
    def keeps_settings(self) -> bool:
        """Return whether a session's settings hold for our statements, and for nobody else's.

        Behind a pooler, they reach others. On Citus, they do not reach workers.
        """
        return not (self.pooled or self.sharded)


async def look(url: str, *, migrate: bool) -> Topology:
    """Return the topology, and migrate the database if asked to."""
    async with connections.connected(url) as connection:
        async with connection.transaction():
            pooled = await connections.is_pooled(connection)
        if pooled:
            logger.info("a pooler stands before PostgreSQL: statements are not kept prepared")
        if migrate:
            await migration.migrate(connection)
        await connections.prepare(connection)
        async with connection.transaction():
            sharded = await connection.fetchval("SELECT true FROM pg_extension WHERE extname = 'citus'")
        return Topology(pooled, bool(sharded))
