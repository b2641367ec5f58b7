"""Tell an outage of the database once in the log, and not by each call that fails in it."""

import logging
import time

logger = logging.getLogger(__name__)


class Outage:
    """An outage begins with a call that cannot reach the database, and ends with one that can."""

    def __init__(self) -> None:
        self._since: float | None = None

    def lost(self, error: BaseException) -> None:
        """Log why a call could not reach the database: a warning for the first one of an outage."""
        level = logging.WARNING if self._since is None else logging.DEBUG
        logger.log(level, "the database is unavailable: %r", error)
        self._since = self._since or time.monotonic()

    def answered(self) -> None:
        """End an outage, if there is one, with a line in the log."""
        if self._since is not None:
            logger.warning("the database answers again, after %.0f s", time.monotonic() - self._since)
            self._since = None
