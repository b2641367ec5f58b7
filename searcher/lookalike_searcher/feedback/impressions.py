"""Count answered searches by project and day, in memory, and add the counts to the registry in the background."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Final

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.errors import DatabaseUnavailable
from lookalike_serving.errors import DomainError

logger = logging.getLogger(__name__)

_FLUSH_SECONDS: Final = 10.0
"""A searcher that is killed loses the counts of so long at most."""


class Impressions:
    """The impressions are counts of answered searches.

    Args:
        database: the primary, to which counts are added.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: Counter[tuple[int, date]] = Counter()

    def count(self, project_id: int) -> None:
        """Count one answered search of the project."""
        self._counts[project_id, datetime.now(UTC).date()] += 1

    async def flush(self) -> None:
        """Add the counts to the registry; if that fails, they are kept for later. Never raises a DomainError."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        rows = [(project_id, day, count) for (project_id, day), count in counts.items()]
        try:
            async with self._database.writing() as connection:
                await connection.execute(statement("impression_add"), *map(list, zip(*rows, strict=True)))
        except DomainError as error:
            self._counts += counts
            level = (
                logging.DEBUG if isinstance(error, DatabaseUnavailable) else logging.WARNING
            )  # an outage is told once
            logger.log(level, "counts of searches could not be added, and will be tried again: %s", error)

    async def _flushing(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()

    @asynccontextmanager
    async def flushed_regularly(self) -> AsyncIterator[None]:
        """Flush at intervals within the block, and once more at its end."""
        flushing = asyncio.create_task(self._flushing())
        try:
            yield
        finally:
            flushing.cancel()
            await asyncio.wait({flushing})
            await self.flush()
