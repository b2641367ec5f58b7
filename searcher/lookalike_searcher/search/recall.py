"""Measure live recall: a share of the approximate searches is ranked again, exactly, in the background."""

import asyncio
import logging
import math
import random
import time
from typing import Final

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.indexes.calibration import RECENT_QUERIES
from lookalike_searcher.indexes.curve import LADDER
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects.space import MAX_EF_SEARCH
from lookalike_searcher.search import rank
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.types import Ranking, Search
from lookalike_serving.errors import DomainError

logger = logging.getLogger(__name__)

_WAITING: Final = 16
"""So many samples may wait. More are dropped, as exact rankings of a large project cannot keep up with its searches."""
_MEMORY: Final = 100
"""The mean is taken over so many samples."""
_TRUSTED: Final = 30
"""After so many samples, a mean that is clearly below the target makes searches walk the index deeper."""
_RESTS: Final = 19
"""After a sample, the next one waits for so many times as long as it took: so samples take a twentieth of a processor
at most. Without rests, those of 700 searches a second in 100,000 images took a quarter of one."""
_LEAST_EF_SEARCH: Final = min(LADDER)
"""Where recall is far better than the target, searches walk less deep, but not less than this."""


class Recall:
    """The recall is measured on samples. If it misses the target, searches walk the index deeper; far above it, less.

    The samples' vectors are kept for the next calibration; see `calibration.measure`. A new one replaces another at
    random, so that recent ones are likelier to be there (Aggarwal: "On biased reservoir sampling in the presence of
    stream evolution", VLDB 2006).

    Args:
        database: the primary, on which samples are searched again.
        metrics: has the measured recall.
        share: the share of approximate searches that are sampled, 0 to 1; unless it is 0, all of the first 30 are that
            come after a calibration or a change of depth.
        target: the recall that searches should reach.
    """

    def __init__(self, database: Database, metrics: Metrics, *, share: float, target: float) -> None:
        self._database = database
        self._metrics = metrics
        self._share = share
        self._target = target
        self._waiting: asyncio.Queue[tuple[Search, Ranking]] = asyncio.Queue(_WAITING)

    def offer(self, search: Search, ranking: Ranking) -> None:
        """Take a search as a sample at random, if it can be repeated."""
        whole = ranking.hits and not ranking.reason.exact and not ranking.query.excluded  # it can be repeated unchanged
        share = self._share if ranking.recall_count >= _TRUSTED else math.ceil(self._share)  # 0 stays 0
        if not whole or search.rerank or random.random() >= share:  # noqa: S311 - no secret
            return
        if self._waiting.full():
            self._metrics.recall_samples.labels("dropped").inc()
            return
        example = Example(embedding=Embedding(ranking.space, ranking.query.vector))
        query = Query((example,), sha256=ranking.query.sha256)
        self._waiting.put_nowait((search._replace(query=query, exact=True, space=ranking.space), ranking))

    async def run(self) -> None:
        """Measure samples, one after the other, until cancelled. There are rests between them, but for the first 30."""
        while True:
            search, ranking = await self._waiting.get()
            began = time.monotonic()
            try:
                await self._measure(search, ranking)
            except DomainError as error:  # for example, the project has been deleted
                logger.info("a sample of recall was not measured: %s", error.message)
                self._metrics.recall_samples.labels("failed").inc()
            if ranking.recall_count >= _TRUSTED:
                await asyncio.sleep(_RESTS * (time.monotonic() - began))

    async def _measure(self, search: Search, ranking: Ranking) -> None:
        exact = await rank.rank(self._database, search)
        if not exact.hits:
            return
        farthest = exact.hits[-1].distance  # equally near images are as good
        share = min(1.0, sum(hit.distance <= farthest for hit in ranking.hits) / len(exact.hits))
        async with self._database.writing() as connection:
            row = await connection.fetchrow(
                statement("space_recall"),
                search.project_name,
                ranking.space,
                share,
                _MEMORY,
                self._target,
                _TRUSTED,
                MAX_EF_SEARCH,
                _LEAST_EF_SEARCH,
            )
            place = random.randrange(RECENT_QUERIES)  # noqa: S311 - no secret
            vector = ranking.query.vector
            await connection.execute(statement("query_keep"), search.project_name, ranking.space, place, vector)
        self._metrics.recall_samples.labels("measured").inc()
        if row:
            self._metrics.recall.labels(search.project_name).set(row["recall"])
            if row["before"] != row["after"]:
                logger.info(
                    "project %r: live recall is %.4f: hnsw.ef_search %d → %d", search.project_name, *row.values()
                )
