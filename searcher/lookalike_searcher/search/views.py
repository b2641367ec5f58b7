"""Find what is nearest to views of the query's picture: copies that were altered much are near to one of them alone."""

from collections.abc import Mapping
from functools import partial
from math import inf
from typing import Final

import asyncpg

from lookalike_searcher.copies.proof import Proof
from lookalike_searcher.database import walking
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection
from lookalike_searcher.images.image import LISTED_REFERENCES
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import known
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.projection import projections_of
from lookalike_searcher.search import query as queries
from lookalike_searcher.search import statements
from lookalike_searcher.search.hit import Hit, hits
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.types import Ranking, Search
from lookalike_searcher.search.way import Way, way_of

NEAREST_TO_QUERY: Final = 100
NEAREST_TO_VIEW: Final = 20
"""So many of the nearest to the query itself, and to each view, are compared."""
_FIRST_FILTER_PARAMETER: Final = 6
"""`search_views` has parameters before those of the filter."""


def widened(search: Search) -> Search:
    """Return the search with which the query itself is ranked: one with views looks further than its page."""
    return search._replace(limit=max(search.limit, NEAREST_TO_QUERY)) if search.views else search


async def candidates(database: Database, search: Search, ranking: Ranking) -> list[Hit]:
    """Return what is near to the query or its views, and is not on the page; each with its greatest similarity.

    Args:
        database: the database of the project.
        search: the search.
        ranking: that of the search `widened`, of whose hits the first are the page.

    Raises:
        NotFound: there is no such project or space any more.
        FailedPrecondition: a view's vector is of another space.
        InvalidField: a view's vector has other dimensions than its space.
    """
    page = ranking.hits[: search.limit]
    nearest = {hit.image_id: hit for hit in ranking.hits[search.limit : NEAREST_TO_QUERY]}
    left_out = [*ranking.query.excluded, *(hit.image_id for hit in page)]
    for hit in await _nearest_to_views(database, search, left_out):
        if hit.image_id not in nearest or hit.similarity > nearest[hit.image_id].similarity:
            nearest[hit.image_id] = hit
    return list(nearest.values())


async def _nearest_to_views(database: Database, search: Search, left_out: list[int]) -> list[Hit]:
    """Return what is nearest to the views. One connection does it, as a search has no right to several at once."""
    near = search._replace(limit=NEAREST_TO_VIEW, views=())
    opening = partial(way_of, near, inf)
    async with known.reading(database, search.project_name, search.space, opening) as (connection, project, way):
        vectors = []
        for view in search.views:
            query = Query((Example(embedding=view),))
            resolved = await queries.resolve(connection, projections_of(database), project, way.space, query)
            vectors.append(resolved.vector)
        return await _ViewRanker(connection, project, way, near, vectors, left_out, database.metrics).rank()


class _ViewRanker:
    """The ranker finds what is nearest to several vectors, in its transaction, which has begun with its first settings.

    What `Ranker` does for one query, it does for all views by one statement.
    """

    def __init__(
        self,
        connection: Connection,
        project: Project,
        way: Way,
        near: Search,
        vectors: list[bytes],
        left_out: list[int],
        metrics: Metrics,
    ) -> None:
        self._connection, self._project, self._way, self._near = connection, project, way, near
        self._vectors, self._left_out = vectors, left_out
        self._metrics = metrics

    async def rank(self) -> list[Hit]:
        """Rank through the index, or exactly."""
        reason = await self._way.why_exact(self._connection, self._project, self._near.filter)
        ranked = None if reason else await self._walk()
        return hits(await self._find(exact=True)) if ranked is None else ranked

    async def _walk(self) -> list[Hit] | None:
        """Rank through the index. Returns None if a walk finds too few, or would be too deep."""
        ef_search = self._way.space.ef_search(self._way.depth)
        if ef_search is None:
            return None
        if self._near.filter:  # otherwise the transaction has begun with them
            await self._connection.execute(walking.settings(ef_search))
        rows = await self._find(exact=False)
        if rows[0]["found"] < len(self._vectors) * min(NEAREST_TO_VIEW, self._project.image_count):
            self._metrics.fallbacks.labels("found too few").inc()
            return None
        return hits(rows)

    async def _find(self, *, exact: bool) -> list[asyncpg.Record]:
        conditions, arguments = self._near.filter.conditions("reference", _FIRST_FILTER_PARAMETER)
        sql = statements.nearest_to_views(self._project.id, self._way.space.id, conditions, exact=exact)
        distance = 1 - self._near.min_similarity
        given = (self._vectors, NEAREST_TO_VIEW, LISTED_REFERENCES, distance, self._left_out)
        return await self._connection.fetch(sql, *given, *arguments)


def with_proven(ranking: Ranking, found: list[Hit], proofs: Mapping[bytes, Proof], limit: int) -> Ranking:
    """Return the ranking with those of `found` that are proven, in place of its last hits that are not."""

    def is_proven(hit: Hit) -> bool:
        return hit.sha256 in proofs and proofs[hit.sha256].is_copy

    added = [hit for hit in found if is_proven(hit)]
    hits = sorted([*ranking.hits, *added], key=lambda hit: hit.rank)
    unproven = [hit for hit in hits if not is_proven(hit) and hit.sha256 != ranking.query.sha256]
    dropped = set(map(id, unproven[::-1][: max(0, len(hits) - limit)]))
    return ranking._replace(hits=[hit for hit in hits if id(hit) not in dropped][:limit], last=None)
