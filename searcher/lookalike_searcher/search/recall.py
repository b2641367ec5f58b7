"""Live recall: a share of the approximate searches is ranked once more, exactly, in the background."""

import asyncio
import logging
import random
from dataclasses import replace
from typing import Final

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.search import rank
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.types import Ranking, Search
from lookalike_serving.errors import DomainError

logger = logging.getLogger(__name__)

_WAITING: Final = 16
"""Samples that may wait; more are let go, as exact rankings of a large project cannot keep up with its searches."""
_MEMORY: Final = 100
"""Over how many samples the mean is taken."""
_TRUSTED: Final = 30
"""From how many samples on a mean below the target makes searches look deeper."""


class Recall:
    """Measures samples, and lets searches look deeper where they miss the target.

    Args:
        database: where searches are made again.
        metrics: is told.
        share: of the approximate searches, 0 to 1.
        target: the recall aimed at.
    """

    def __init__(self, database: Database, metrics: Metrics, *, share: float, target: float) -> None:
        self._database = database
        self._metrics = metrics
        self._share = share
        self._target = target
        self._waiting: asyncio.Queue[tuple[Search, Ranking]] = asyncio.Queue(_WAITING)

    def offer(self, asked: Search, ranking: Ranking) -> None:
        """Take a search as a sample, or not."""
        whole = ranking.hits and not ranking.exact and not ranking.query.excluded  # what can be asked again as it was
        if not whole or asked.rerank or random.random() >= self._share:  # noqa: S311 - no secret
            return
        if self._waiting.full():
            self._metrics.recall_samples.labels("dropped").inc()
            return
        example = Example(embedding=Embedding(ranking.space, ranking.query.vector))
        query = Query((example,), sha256=ranking.query.sha256)
        self._waiting.put_nowait((replace(asked, query=query, exact=True, space=ranking.space), ranking))

    async def run(self) -> None:
        """Measure samples, one after the other, until cancelled."""
        while True:
            asked, ranking = await self._waiting.get()
            try:
                await self._measure(asked, ranking)
            except DomainError as error:  # for example, the project has been deleted
                logger.info("a sample of recall was not measured: %s", error.message)
                self._metrics.recall_samples.labels("failed").inc()

    async def _measure(self, asked: Search, ranking: Ranking) -> None:
        exact = await rank.rank(self._database, asked)
        if not exact.hits:
            return
        farthest = exact.hits[-1].distance  # equally near ones are as good
        share = min(1.0, sum(hit.distance <= farthest for hit in ranking.hits) / len(exact.hits))
        async with self._database.writing() as connection:
            row = await connection.fetchrow(
                statement("space_recall"), asked.project, ranking.space, share, _MEMORY, self._target, _TRUSTED
            )
        self._metrics.recall_samples.labels("measured").inc()
        if row:
            self._metrics.recall.labels(asked.project).set(row["recall"])
