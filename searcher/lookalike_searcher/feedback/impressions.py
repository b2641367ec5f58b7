"""How many searches were answered, by project and day: counted in memory, added to the registry in the background."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Final

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.feedback import feedback
from lookalike_serving.errors import DomainError

logger = logging.getLogger(__name__)

_FLUSH_SECONDS: Final = 10.0
"""What a searcher that is killed loses at most."""
_SWEEP_SECONDS: Final = 3600.0
_KEPT: Final = timedelta(days=366)
"""Counts: what GetSearchQuality may ask for."""


class Impressions:
    """Counts answered searches; and, as it is the task that keeps time, sees to it that old feedback goes.

    Args:
        database: where counts are added: a primary.
        feedback_kept: for how long feedback is kept; None: for ever.
    """

    def __init__(self, database: Database, feedback_kept: timedelta | None) -> None:
        self._database = database
        self._feedback_kept = feedback_kept
        self._counts: Counter[tuple[int, date]] = Counter()

    def count(self, project_id: int) -> None:
        """A search was answered."""
        self._counts[project_id, datetime.now(UTC).date()] += 1

    async def flush(self) -> None:
        """Add what was counted; if the database is away, later. Never raises a DomainError."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        rows = [(project_id, day, count) for (project_id, day), count in counts.items()]
        try:
            async with self._database.writing() as connection:
                await connection.execute(statement("impression_add"), *map(list, zip(*rows, strict=True)))
        except DomainError as error:
            self._counts += counts
            logger.warning("counts of searches could not be added, and will be tried again: %s", error)

    async def sweep(self) -> None:
        """Delete feedback that is past its time, and counts that nobody can ask for."""
        async with self._database.writing() as connection:
            await connection.execute(statement("impression_sweep"), (datetime.now(UTC) - _KEPT).date())
        if self._feedback_kept and (count := await feedback.expire(self._database, self._feedback_kept)):
            logger.info("deleted feedback on %d searches, past its %d days", count, self._feedback_kept.days)

    async def _sweeping(self) -> None:
        while True:
            try:
                await self.sweep()
            except DomainError as error:
                logger.warning("old feedback could not be deleted, and will be tried again: %s", error)
            await asyncio.sleep(_SWEEP_SECONDS)

    async def _flushing(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Flush and sweep beside the block, and flush at its end."""
        tasks = {asyncio.create_task(work) for work in (self._flushing(), self._sweeping())}
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self.flush()
