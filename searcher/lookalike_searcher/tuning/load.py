"""Tell whether searches are under load, so that nothing is learned beside them then."""

import asyncio
from typing import Final

from lookalike_searcher.database.pool import Database

_LATE_SECONDS: Final = 0.02
"""An event loop that is later than this on average keeps all calls waiting."""
_WEIGHT: Final = 0.1
"""Of the last measurement, of which there are ten a second."""
_LOOK_SECONDS: Final = 0.5


class Load:
    """The load is high while the event loop is late, or while calls wait for their project's share of the connections.

    Args:
        database: the database whose admission is asked.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lag = 0.0

    def observe(self, lag_seconds: float) -> None:
        """Take in how late the event loop has just been."""
        self._lag += _WEIGHT * (lag_seconds - self._lag)

    @property
    def is_high(self) -> bool:
        """Say whether searches are under load."""
        return self._lag > _LATE_SECONDS or self._database.calls_wait

    async def wait_until_low(self) -> None:
        """Wait until it is not."""
        while self.is_high:  # noqa: ASYNC110 - nothing tells when calls are late no more
            await asyncio.sleep(_LOOK_SECONDS)
