"""Route searches to a read replica while it is fresh, and to the primary otherwise."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from typing import TypeVar

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.replica import Replica
from lookalike_searcher.errors import Overloaded
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.quota import QuotaExceeded
from lookalike_serving.errors import DomainError
from lookalike_serving.rpc import time_remaining

T = TypeVar("T")


class Reads:
    """The reads go to the replica first, if there is one and it is fresh."""

    def __init__(self, primary: Database, metrics: Metrics, replica: Replica | None = None) -> None:
        self._primary = primary
        self._replica = replica
        self._reads_of = cache(metrics.reads.labels)

    def check_room(self, project_name: str) -> None:
        """Refuse a search of the project that neither the replica nor the primary has room for.

        Raises:
            QuotaExceeded, Overloaded: the search would wait too long.
        """
        replica = self._replica.fresh() if self._replica else None
        if replica:
            with suppress(QuotaExceeded, Overloaded):
                replica.check_room(project_name)
                return
        self._primary.check_room(project_name)

    async def ask(self, question: Callable[[Database], Awaitable[T]]) -> T:
        """Return the answer of the replica, or of the primary if the replica is stale, fails, or refuses.

        The replica may refuse what it does not know yet: a project, an image, a new serving space, a limit.
        """
        database = self._replica.fresh() if self._replica else None
        if database:
            try:
                answer = await question(database)
            except DomainError:
                if not time_remaining():
                    raise
            else:
                self._reads_of("replica").inc()
                return answer
        answer = await question(self._primary)
        self._reads_of("primary").inc()
        return answer
