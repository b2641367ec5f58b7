"""Limits of searches: how many hits, how many in a batch, how many a second."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lookalike_searcher.errors import QuotaExceeded
from lookalike_searcher.project import Limits, Project

BURST_SECONDS: Final = 2.0
"""A project may save up this much of its rate, so that a page that makes ten searches at once is served."""
_MAX_BUCKETS: Final = 10_000


@dataclass
class _Bucket:
    """A token bucket: searches that may be made at once, as of a time."""

    tokens: float
    updated: float


class Rates:
    """Admits searches by their project's limits, or by the searcher's own where a project has none."""

    def __init__(self, own: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._own = own
        self._clock = clock
        self._buckets: dict[int, _Bucket] = {}

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
        if rate := limits.searches_per_second or self._own.searches_per_second:
            self._take(project, rate)

    def _take(self, project: Project, rate: float) -> None:
        now, most = self._clock(), max(1.0, rate * BURST_SECONDS)
        bucket = self._buckets.get(project.id) or _Bucket(most, now)
        tokens = min(most, bucket.tokens + (now - bucket.updated) * rate)
        if tokens < 1:
            raise QuotaExceeded.searches(project.name, rate, (1 - tokens) / rate)
        if len(self._buckets) >= _MAX_BUCKETS:  # of projects that have not searched lately, which are full again
            del self._buckets[min(self._buckets, key=lambda key: self._buckets[key].updated)]
        self._buckets[project.id] = _Bucket(tokens - 1, now)
