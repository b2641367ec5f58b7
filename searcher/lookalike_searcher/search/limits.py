"""Limits of searches: how many hits, how many in a batch, how many a second."""

import time
from collections.abc import Callable

from lookalike_searcher.errors import QuotaExceeded
from lookalike_searcher.projects.registry import Limits, Project
from lookalike_serving.rate_limit import Buckets


class Rates:
    """Admits searches by their project's limits, or by the searcher's own where a project has none."""

    def __init__(self, own: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._own = own
        self._buckets: Buckets[int] = Buckets(clock)

    def admit(self, project: Project, hits: int, batch: int) -> None:
        """Count one search.

        Args:
            project: of which project.
            hits: how many hits it asks for.
            batch: how many searches of the project come in the same batch.

        Raises:
            QuotaExceeded: it is too large, or comes too soon.
        """
        limits = project.limits
        if (most := limits.max_hits or self._own.max_hits) and hits > most:
            raise QuotaExceeded.hits(project.name, most, hits)
        if (most := limits.max_batch or self._own.max_batch) and batch > most:
            raise QuotaExceeded.batch(project.name, most, batch)
        if (rate := limits.searches_per_second or self._own.searches_per_second) and (
            wait := self._buckets.take(project.id, rate)
        ):
            raise QuotaExceeded.searches(project.name, rate, wait)
