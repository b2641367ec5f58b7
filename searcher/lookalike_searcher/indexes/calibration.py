"""Measure recall and time of searches by how deep they walk the index of a space, and choose the depth."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.indexes.index import ef_settings
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.registry import Project
from lookalike_searcher.projects.space import MAX_EF_SEARCH, Space

LADDER: Final = (100, 150, 200, 300, 450, 700, MAX_EF_SEARCH)
"""These values of hnsw.ef_search are tried.

Lower values save little time (0.7 ms at 100,000 images), and miss the nearest of queries that resemble no image."""
EXACT: Final = 2 * MAX_EF_SEARCH
"""This stands for exact ranking: no walk can be so deep."""
_SAMPLES: Final = 200
_SAMPLING_EF_SEARCH: Final = 100
"""The made queries need a near neighbour, not exactly the tenth."""


@dataclass(frozen=True)
class Rung:
    """A rung is a value of hnsw.ef_search, with the mean recall and the median seconds of the queries that used it."""

    ef_search: int
    recall: float
    seconds: float


@dataclass(frozen=True)
class Curve:
    """The curve says what each rung finds of so many nearest hits, and how long an exact ranking takes."""

    count: int
    rungs: tuple[Rung, ...]
    exact_seconds: float

    def choose(self, target: float) -> int:
        """Return the `hnsw.ef_search` to search with.

        It is the least that misses no more than half of what the target allows, as users' queries may be harder than
        the sample. If none does, it is the knee: the least after which deeper walks find hardly more; or EXACT, if an
        exact ranking takes no longer than that.
        """
        best = max(rung.recall for rung in self.rungs)
        reached = best >= enough(target)
        least = enough(target) if reached else best - (1 - target) / 2
        if not reached and best >= target:
            least = max(least, target)
        chosen = next(rung for rung in self.rungs if rung.recall >= least)
        return chosen.ef_search if reached or chosen.seconds < self.exact_seconds else EXACT

    def __str__(self) -> str:
        """Return a line for the log."""
        rungs = ", ".join(f"{rung.ef_search}: {rung.recall:.4f} in {1000 * rung.seconds:.1f} ms" for rung in self.rungs)
        return f"recall@{self.count} by hnsw.ef_search {rungs}; exactly in {1000 * self.exact_seconds:.1f} ms"


def enough(target: float) -> float:
    """Return the recall on the sample that is enough for a target: half of the misses that it allows are left over."""
    return (1 + target) / 2


async def measure(database: Database, project_name: str, space_name: str, target: float) -> tuple[Curve, Curve]:
    """Make sampled queries exactly, and through the index by each rung up to the one that is enough for the target.

    Returns the curves for 10 and for 100 hits. The sample depends only on the images' ids, so that the same index gives
    the same curves but for the time.
    """
    async with registry.reading(database, project_name) as (connection, project):
        space = project.in_space(space_name)
        await connection.execute(ef_settings(_SAMPLING_EF_SEARCH))
        rows = await connection.fetch(statement("vector_sample", project.id, space.id), _SAMPLES)
        probe = _Probe(connection, project, space, [row["vector"] for row in rows])
        return await probe.curves((10, 100), target)


class _Probe:
    """A probe makes the same queries in several ways, on one connection."""

    def __init__(self, connection: Connection, project: Project, space: Space, queries: Sequence[bytes]) -> None:
        self._connection = connection
        self._project, self._space = project, space
        self._queries = queries

    async def curves(self, counts: tuple[int, int], target: float) -> tuple[Curve, Curve]:
        truth, exact_seconds = await self._ask("index_truth", max(counts))
        first, second = [Curve(count, await self._rungs(count, truth, target), exact_seconds) for count in counts]
        return first, second

    async def _rungs(self, count: int, truth: Sequence[Sequence[float]], target: float) -> tuple[Rung, ...]:
        rungs = []
        for ef_search in (step for step in LADDER if step >= count):
            await self._connection.execute(ef_settings(ef_search))
            answers, seconds = await self._ask("index_nearest", count)
            shares = [_recall(answer, exact[:count]) for answer, exact in zip(answers, truth, strict=True)]
            rungs.append(Rung(ef_search, fmean(shares), seconds))
            if rungs[-1].recall >= enough(target):
                break
        return tuple(rungs)

    async def _ask(self, statement_name: str, count: int) -> tuple[list[list[float]], float]:
        """Return the distances of each query's nearest, and the median of the seconds that they took."""
        answers, seconds = [], []
        sql = statement(statement_name, self._project.id, self._space.id)
        for query in self._queries:
            began = time.perf_counter()
            rows = await self._connection.fetch(sql, query, count)
            seconds.append(time.perf_counter() - began)
            answers.append([row["distance"] for row in rows])
        return answers, median(seconds)


def _recall(distances: Sequence[float], exact: Sequence[float]) -> float:
    """Return the share of the nearest that was found, by distance, so that equally near images are interchangeable."""
    return sum(distance <= exact[-1] for distance in distances) / len(exact)
