"""Rank a project's images: choose the way, and how deep to look."""

import asyncio
import math
from collections.abc import Callable
from functools import partial

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.projects import known, registry
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.projection import projections_of
from lookalike_searcher.projects.space import Space
from lookalike_searcher.search import query as queries
from lookalike_searcher.search import reranking
from lookalike_searcher.search.execute import Candidates, Ranker
from lookalike_searcher.search.hit import Hit, similarity
from lookalike_searcher.search.query import Resolved
from lookalike_searcher.search.types import Page, Position, Ranking, Reason, Search
from lookalike_searcher.search.way import Way, way_of
from lookalike_serving.errors import DomainError


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
        admit: is called with the project before anything is ranked, and may raise; once more if it had changed.
        slow_seconds: a statement that takes so long is logged with its plan.
        exact_threshold: with so many images, there should be an index.

    Raises:
        NotFound: there is no such project, space or image.
        FailedPrecondition: the query's vector is of another space.
        InvalidField: the page before was of another project or space.
    """
    if ranking := await _at_once(database, search, admit, slow_seconds, exact_threshold):
        return ranking
    opening = partial(way_of, search, exact_threshold)
    async with known.reading(database, search.project_name, search.space, opening) as (connection, project, way):
        admit(project)
        space = way.space
        _check_position(search, project, space)
        resolved = await queries.resolve(connection, projections_of(database), project, space, search.query)
        ranker = Ranker(connection, project, way, search, resolved, slow_seconds, database.metrics)
        candidates, reason = await ranker.rank()
        ranked = candidates.matching
        if ranked is None:
            ranked = await _vector_count(connection, project, space)
        hits = await _hits(ranker, search.limit, way.page, resolved, candidates)
        if space.source_id:
            hits = await _compared(connection, project, project.base(space), resolved, hits)
    return _ranking(search.limit, project, way, resolved, candidates, hits, reason, ranked)


async def _at_once(
    database: Database,
    search: Search,
    admit: Callable[[Project], None],
    slow_seconds: float,
    exact_threshold: float,
) -> Ranking | None:
    """Rank by one statement, which finds out too whether the project is as it is known. If not, it is read, and again.

    Returns None if that is not enough: if anything else must be looked up before or after.
    """
    name = search.project_name
    can_be = database.searches_at_once and not search.filter
    remembered = known.recall(database, name, search.space) if can_be else None
    while remembered:
        project = remembered.project
        way = way_of(search, exact_threshold, project)
        resolved = queries.resolve_given(way.space, search.query)
        if way.reason or resolved is None or not way.space.complete:
            return None
        try:
            admit(project)
            _check_position(search, project, way.space)
        except DomainError:
            return None  # it is refused for good when the project is known to be unchanged
        async with database.searching(name) as connection:
            ranker = Ranker(connection, project, way, search, resolved, slow_seconds, database.metrics, remembered)
            try:
                candidates = await ranker.walk()
                if candidates is not None:
                    hits = await _hits(ranker, search.limit, way.page, resolved, candidates)
                    ranked = project.image_count
                    return _ranking(search.limit, project, way, resolved, candidates, hits, Reason.INDEX, ranked)
                remembered = await known.changed(database, connection, remembered)
            except registry.DELETED:
                return None
    return None


async def _hits(ranker: Ranker, limit: int, page: Page, query: Resolved, candidates: Candidates) -> list[Hit]:
    """Return the page's hits: first all that are re-ranked, then what follows by similarity."""
    nearest = candidates.near[: page.shortlist]
    if not nearest:
        return candidates.hits[:limit]
    scored = await asyncio.to_thread(reranking.reranked, query.vector, nearest[: page.reranked])
    scored += [(one, similarity(one.distance)) for one in nearest[page.reranked :]]
    return await ranker.listed(scored[page.offset : page.offset + limit])


def _check_position(search: Search, project: Project, space: Space) -> None:
    """Check that the page before was of this project and space. Raises InvalidField."""
    if search.after and search.after[:2] != (project.id, space.name):
        raise InvalidField("page_token", f"must be of project {project.id} and space {space.name!r}", search.after)


def _ranking(
    limit: int,
    project: Project,
    way: Way,
    resolved: Resolved,
    candidates: Candidates,
    hits: list[Hit],
    reason: Reason,
    images_ranked: int,
) -> Ranking:
    space, page = way.space, way.page
    last, shown = None, page.offset + limit
    if len(candidates) > shown:
        depth = shown + (page.start.depth if page.start else 0)
        last = Position(project.id, space.name, *candidates.position(shown - 1), depth, reason.exact)
    return Ranking(project.id, hits, reason, images_ranked, space.name, resolved, last, space.recall_count)


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
