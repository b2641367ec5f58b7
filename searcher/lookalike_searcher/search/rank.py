"""Rank a project's images: choose the way, and how deep to look."""

import asyncio
import math
from collections.abc import Callable
from functools import partial

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.projects import known
from lookalike_searcher.projects.projection import projections_of
from lookalike_searcher.projects.registry import Project
from lookalike_searcher.projects.space import Space
from lookalike_searcher.search import query as queries
from lookalike_searcher.search import reranking
from lookalike_searcher.search.execute import Ranker, way_of
from lookalike_searcher.search.hit import Hit
from lookalike_searcher.search.query import Resolved
from lookalike_searcher.search.types import Position, Ranking, Search


async def rank(
    database: Database,
    search: Search,
    *,
    admit: Callable[[Project], None] = lambda _: None,
    slow_seconds: float = math.inf,
    exact_threshold: float = math.inf,
) -> Ranking:
    """Return the images, or products, most similar to the query.

    Args:
        database: the database of the project.
        search: the search.
        admit: is called with the project before anything is ranked, and may raise.
        slow_seconds: a statement that takes so long is logged with its plan.
        exact_threshold: with so many images, there should be an index.

    Raises:
        NotFound: there is no such project, space or image.
        FailedPrecondition: the query's vector is of another space.
        InvalidField: the page before was of another project or space.
    """
    opening = partial(way_of, search, exact_threshold)
    async with known.reading(database, search.project_name, search.space, opening) as (connection, project, way):
        admit(project)
        space = way.space
        if search.after and search.after[:2] != (project.id, space.name):
            raise InvalidField("page_token", f"must be of project {project.id} and space {space.name!r}", search.after)
        resolved = await queries.resolve(connection, projections_of(database), project, space, search.query)
        ranker = Ranker(connection, project, way, search, resolved, slow_seconds, database.metrics)
        candidates, reason = await ranker.rank()
        ranked = candidates.matching
        if ranked is None:
            ranked = await _vector_count(connection, project, space)
        hits = candidates.hits[: search.shortlist]
        if nearest := hits[: search.rerank]:
            vectors = await reranking.vectors_of(connection, project.id, space.id, resolved, nearest)
            hits[: search.rerank] = await asyncio.to_thread(reranking.reranked, nearest, vectors)
        hits = hits[: search.limit]
        if space.source_id:
            hits = await _compared(connection, project, project.base(space), resolved, hits)
    depth = (search.after.depth if search.after else 0) + len(hits)
    more = len(candidates.hits) > search.limit and not search.rerank
    last = None
    if more:
        final = hits[-1]
        last = Position(project.id, space.name, final.rank, final.image_id, final.product, depth, reason.exact)
    return Ranking(project.id, hits, reason, ranked, space.name, resolved, last, space.recall_count)


async def _compared(
    connection: Connection, project: Project, source: Space, query: Resolved, hits: list[Hit]
) -> list[Hit]:
    """Return hits of a derived space with their cosines in its source; -1 if the query has no vector there."""
    cosines: dict[int, float] = {}
    if query.source_vector and hits:
        sql = statement("vector_cosine", project.id, source.id)
        rows = await connection.fetch(sql, query.source_vector, [hit.image_id for hit in hits])
        cosines = {row["image_id"]: row["cosine"] for row in rows}
    return [hit._replace(source_similarity=cosines.get(hit.image_id, -1.0)) for hit in hits]


async def _vector_count(connection: Connection, project: Project, space: Space) -> int:
    """Return how many images have a vector in the space: usually all."""
    if space.complete:
        return project.image_count
    return int(await connection.fetchval(statement("vector_count", project.id, space.id)))
