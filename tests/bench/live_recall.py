"""Live recall that begins with walks of the index that are not deep enough: how deep searches walk after a while."""

import asyncio
from collections.abc import Sequence
from typing import Final

import numpy as np

from lookalike_searcher.config import Config
from lookalike_searcher.database.halfvec import encode
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.indexes.curve import LADDER
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_searcher.search import rank
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.recall import Recall
from lookalike_searcher.search.types import Search
from tests.bench.figures import Figure
from tests.bench.synthetic_vectors import Vectors

_LOOK_SECONDS: Final = 0.001
_PART: Final = 50


async def measure(database: Database, project: str, space: str, queries: Vectors) -> list[Figure]:
    """Search for each, from the least depth on; each search is a sample. Returns recall of the first and the last."""
    found = await registry.get(database, project)
    async with database.writing() as connection:
        arguments = (found.in_space(space).id, LADDER[0], 2 * LADDER[0], Config.recall_target, found.image_count)
        await connection.execute(statement("space_indexed"), *arguments)
    metrics = Metrics()
    recall = Recall(database, metrics, share=1, target=Config.recall_target)
    running = asyncio.create_task(recall.run())
    shares = []
    for number, query in enumerate(encode(queries), 1):
        search = Search(project, Query((Example(embedding=Embedding(space, query)),)), 10)
        ranking = await rank.rank(database, search)
        nearest = (await rank.rank(database, search._replace(exact=True))).hits
        shares.append(sum(hit.distance <= nearest[-1].distance for hit in ranking.hits) / len(nearest))
        recall.offer(search, ranking)
        while metrics.recall_samples.labels("measured")._value.get() < number:  # noqa: ASYNC110 - a counter tells nobody
            await asyncio.sleep(_LOOK_SECONDS)
    running.cancel()
    depth = (await registry.get(database, project)).in_space(space).ef_search_10
    return _figures(project, depth, shares)


def _figures(project: str, depth: int, shares: Sequence[float]) -> list[Figure]:
    on = f"the {{}} {_PART} of {len(shares)} searches, which began with hnsw.ef_search {LADDER[0]} and end with {depth}"
    first, last = float(np.mean(shares[:_PART])), float(np.mean(shares[-_PART:]))
    return [
        Figure(f"live_recall_first.{project}", first, on.format("first")),
        Figure(f"live_recall_last.{project}", last, on.format("last"), least=Config.recall_target - 0.01),
    ]
