"""Delete feedback, and counts of searches, that have been kept for long enough."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.feedback import feedback
from lookalike_serving.errors import DomainError

logger = logging.getLogger(__name__)

_SWEEP_SECONDS: Final = 3600.0
_COUNTS_KEPT: Final = timedelta(days=366)
"""GetSearchQuality may look back so far."""


async def run(database: Database, feedback_kept: timedelta | None) -> None:
    """Run `sweep` once an hour, until cancelled. The arguments are those of `sweep`."""
    while True:
        try:
            await sweep(database, feedback_kept)
        except DomainError as error:
            logger.warning("old feedback could not be deleted, and will be tried again: %s", error)
        await asyncio.sleep(_SWEEP_SECONDS)


async def sweep(database: Database, feedback_kept: timedelta | None) -> None:
    """Delete feedback that is past its time, and counts that are too old for GetSearchQuality.

    Args:
        database: the primary.
        feedback_kept: how long feedback is kept; None: without limit.
    """
    async with database.writing() as connection:
        await connection.execute(statement("impression_sweep"), (datetime.now(UTC) - _COUNTS_KEPT).date())
    if feedback_kept and (count := await feedback.expire(database, feedback_kept)):
        logger.info("deleted feedback on %d searches, past its %d days", count, feedback_kept.days)
