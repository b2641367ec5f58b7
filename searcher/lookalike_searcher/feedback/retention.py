"""Deletes feedback, and counts of searches, that have been kept for long enough."""

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
"""As long as GetSearchQuality may look back."""


async def run(database: Database, feedback_kept: timedelta | None) -> None:
    """Sweep once an hour, until cancelled. The arguments are those of `sweep`."""
    while True:
        try:
            await sweep(database, feedback_kept)
        except DomainError as error:
            logger.warning("old feedback could not be deleted, and will be tried again: %s", error)
        await asyncio.sleep(_SWEEP_SECONDS)


async def sweep(database: Database, feedback_kept: timedelta | None) -> None:
    """Delete feedback that is past its time, and counts that nobody can ask for.

    Args:
        database: where they are: a primary.
        feedback_kept: for how long feedback is kept; None: for ever.
    """
    async with database.writing() as connection:
        await connection.execute(statement("impression_sweep"), (datetime.now(UTC) - _COUNTS_KEPT).date())
    if feedback_kept and (count := await feedback.expire(database, feedback_kept)):
        logger.info("deleted feedback on %d searches, past its %d days", count, feedback_kept.days)
