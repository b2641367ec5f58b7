"""Limit searches: their hits, their batches, and their rate."""

import time
from collections.abc import Callable

from lookalike_searcher.projects.project import Limits, Project
from lookalike_searcher.quota import QuotaExceeded
from lookalike_serving.rate_limit import Buckets


class Rates:
    """The rates admit searches by their project's limits, or by the searcher's own where a project has none."""

    def __init__(self, own: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._own = own
        self._buckets: Buckets[int] = Buckets(clock)

    def admit(self, project: Project, hits: int, batch: int) -> None:
        """Count one search, or refuse it.

        Args:
            project: the project that is searched.
            hits: how many hits it asks for.
            batch: how many searches of the project come in the same batch.

        Raises:
            QuotaExceeded: the search is too large, or the project searches too often.
        """
        limits = project.limits
        if (limit := limits.max_hits or self._own.max_hits) and hits > limit:
            raise QuotaExceeded.hits(project.name, limit, hits)
        if (limit := limits.max_batch or self._own.max_batch) and batch > limit:
            raise QuotaExceeded.batch(project.name, limit, batch)
        if (rate := limits.searches_per_second or self._own.searches_per_second) and (
            wait := self._buckets.take(project.id, rate)
        ):
            raise QuotaExceeded.searches(project.name, rate, wait)
