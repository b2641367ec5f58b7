"""Measure recall and time of searches by how deep they walk the index of a space, and keep what was measured."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, median
from typing import Final

from lookalike_searcher.database import walking
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.indexes import made_queries
from lookalike_searcher.indexes.curve import LADDER, Curve, Rung, enough
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.space import Space

HIT_COUNTS: Final = (10, 100)
"""There is a curve for each of these numbers of hits. For others, searches interpolate."""
RECENT_QUERIES: Final = 200
"""So many vectors of real searches are kept for each space; a calibration makes so many queries."""
_SAMPLING_EF_SEARCH: Final = 100
"""The made queries need near images, not exactly the nearest."""
_ONE_MORE: Final = 1
"""Searches look at one image more than they return, to see whether there are more, and sort them by their distance. The
index itself has another order: it compares inner products of vectors whose lengths are 1 only to half precision. With
100,000 images the last of ten is another for half of a percent of them, at every depth. So does a calibration."""
_ASTRAY: Final = 0.2
"""A walk that finds less of the nearest has gone astray: it has ended among other images, and a deeper one does too."""


@dataclass(frozen=True)
class Calibration:
    """A calibration has a curve for each of HIT_COUNTS, and what it was measured with.

    Attributes:
        curves: what was measured.
        image_count: how many images the project had.
        query_count: how many queries were made.
        real_query_count: how many of these were vectors of real searches.
        create_time: when it was measured; None before it is stored.
    """

    curves: tuple[Curve, ...]
    image_count: int
    query_count: int
    real_query_count: int
    create_time: datetime | None = None


async def measure(database: Database, project_name: str, space_name: str, target: float) -> Calibration:
    """Make queries exactly, and through the index by each rung up to the one that is enough for the target.

    The queries are vectors of recent searches. Where there are fewer than RECENT_QUERIES, others are made of images.
    They depend only on the images' ids, so that the same index gives the same curves. Raises NotFound.
    """
    async with registry.reading(database, project_name) as (connection, project):
        space = project.in_space(space_name)
        real = await connection.fetch(statement("query_recent"), space.id)
        await connection.execute(walking.settings(_SAMPLING_EF_SEARCH))
        made = await made_queries.make(connection, project, space, RECENT_QUERIES - len(real))
        queries = [*(row["vector"] for row in real), *made]
        probe = _Probe(connection, project, space, queries)
        return Calibration(await probe.curves(target), project.image_count, len(queries), len(real))


async def keep(connection: Connection, space_id: int, calibration: Calibration) -> None:
    """Store the space's calibration in place of its last one, in the caller's transaction."""
    for curve in calibration.curves:
        await connection.execute(
            statement("calibration_write"),
            space_id,
            curve.hit_count,
            [rung.ef_search for rung in curve.rungs],
            [rung.recall for rung in curve.rungs],
            [rung.seconds for rung in curve.rungs],
            curve.exact_seconds,
            calibration.image_count,
            calibration.query_count,
            calibration.real_query_count,
        )


async def stored(database: Database, project: Project) -> Mapping[int, Calibration]:
    """Return the last calibration of each of the project's spaces that has one, by the space's id."""
    if not any(space.index_time for space in project.spaces):
        return {}
    async with database.reading() as connection:
        rows = await connection.fetch(statement("calibration_read"), project.id)
    curves: dict[int, list[Curve]] = {}
    for row in rows:
        rungs = map(Rung, row["ef_searches"], row["recalls"], row["seconds"])
        curves.setdefault(row["space_id"], []).append(Curve(row["hit_count"], tuple(rungs), row["exact_seconds"]))
    return {
        row["space_id"]: Calibration(
            tuple(curves[row["space_id"]]),
            row["image_count"],
            row["query_count"],
            row["real_query_count"],
            row["create_time"],
        )
        for row in rows
    }


class _Probe:
    """A probe makes the same queries in several ways, on one connection."""

    def __init__(self, connection: Connection, project: Project, space: Space, queries: Sequence[bytes]) -> None:
        self._connection = connection
        self._project, self._space = project, space
        self._queries = queries

    async def curves(self, target: float) -> tuple[Curve, ...]:
        truth, exact_seconds = await self._ask("index_truth", max(HIT_COUNTS))
        return tuple([Curve(count, await self._rungs(count, truth, target), exact_seconds) for count in HIT_COUNTS])

    async def _rungs(self, count: int, truth: Sequence[Sequence[float]], target: float) -> tuple[Rung, ...]:
        rungs = []
        for ef_search in (step for step in LADDER if step >= count):
            await self._connection.execute(walking.settings(ef_search))
            answers, seconds = await self._ask("index_nearest", count + _ONE_MORE)
            shares = [_recall(answer, exact[:count]) for answer, exact in zip(answers, truth, strict=True)]
            astray = fmean(share < _ASTRAY for share in shares)
            error = math.sqrt(astray * (1 - astray) / len(shares))
            rungs.append(Rung(ef_search, fmean(shares), seconds, error))
            if rungs[-1].reaches(enough(target)):
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
    return min(1.0, sum(distance <= exact[-1] for distance in distances) / len(exact))
