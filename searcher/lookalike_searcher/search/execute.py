"""Execute one search in the database, in the way that was decided."""

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from lookalike_searcher.database import walking
from lookalike_searcher.database.statement import Connection
from lookalike_searcher.images.image import LISTED_REFERENCES
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects.known import Known
from lookalike_searcher.projects.project import Project
from lookalike_searcher.search import statements
from lookalike_searcher.search.hit import Hit, Near, hits, near
from lookalike_searcher.search.query import Resolved
from lookalike_searcher.search.types import Reason, Search
from lookalike_searcher.search.way import Way

logger = logging.getLogger(__name__)

_LITERAL: Final = re.compile(r"'(?:[^']|'')*'")
"""A value in a plan: of the query's vector, or of the caller's filter."""
_DEEPER: Final = 4
"""If the nearest images show too few products, so many times as many are looked at."""
_FIRST_FILTER_PARAMETER: Final = 11
"""`search_limit_if_unchanged` has parameters of these numbers, for a search without a filter."""
_FIRST_LISTED_PARAMETER: Final = 6
"""`search_listed` has parameters before those of the filter."""


@dataclass(frozen=True)
class Candidates:
    """A statement returns hits, how many images it looked at, their greatest distance, and how many match.

    Where hits are to be re-ranked, they are in `near` instead: what is shown of them is read of one page alone.
    """

    hits: list[Hit]
    near: list[Near]
    looked_at: int
    reach: float
    matching: int | None

    def __len__(self) -> int:
        """Return how many hits were found."""
        return len(self.hits) + len(self.near)

    def position(self, index: int) -> tuple[float, int, str]:
        """Return rank, image and product of a hit, in the order of similarity."""
        hit = self.near[index] if self.near else self.hits[index]
        return hit.rank, hit.image_id, hit.product


class Ranker:
    """The ranker executes one search, in its transaction, which has begun with its first settings.

    Where the project is `known`, there is no transaction: each statement is one of its own.
    """

    def __init__(
        self,
        connection: Connection,
        project: Project,
        way: Way,
        search: Search,
        resolved: Resolved,
        slow_seconds: float,
        metrics: Metrics,
        known: Known | None = None,
    ) -> None:
        self._connection = connection
        self._metrics = metrics
        self._project, self._way, self._search, self._resolved = project, way, search, resolved
        self._slow_seconds = slow_seconds
        self._settings = way.settings
        self._known = known
        self._too_deep = False
        self._conditions, self._arguments = search.filter.conditions("reference", _FIRST_FILTER_PARAMETER)

    async def rank(self) -> tuple[Candidates, Reason]:
        """Rank through the index, or exactly. Returns the reason too."""
        reason = await self._way.why_exact(self._connection, self._project, self._search.filter)
        if reason is None:
            candidates = await self.walk()
            if candidates is not None:
                return candidates, Reason.INDEX
            reason = Reason.FELL_BACK
            self._metrics.fallbacks.labels("too deep" if self._too_deep else "found too few").inc()
        return await self._exact(), reason

    async def _exact(self) -> Candidates:
        """Rank all images that match the filter."""
        depth = None if self._search.by_product else self._way.page.depth
        return await self._find(depth, "", self._arguments)

    async def walk(self) -> Candidates | None:
        """Rank images through the index. Returns None if it finds too few, or would have to be walked too deep.

        It finds none if the project is no longer as it was known.
        """
        search, depth = self._search, self._way.depth
        while (ef_search := self._way.space.ef_search(depth)) is not None:
            candidates = await self._walk(depth, ef_search)
            if candidates.looked_at < min(depth, self._project.image_count - len(self._resolved.excluded)):
                break  # the walk ended early
            all_seen = candidates.looked_at < depth or candidates.reach > 1 - search.min_similarity
            if all_seen or len(candidates) > self._way.page.shortlist:
                return candidates  # otherwise they show few products, or the page before has missed better ones
            depth *= _DEEPER
        self._too_deep = ef_search is None
        return None

    async def _walk(self, depth: int, ef_search: int) -> Candidates:
        """Rank the images that the index finds, once."""
        if self._known:
            return await self._find(depth, self._known.limit, (str(ef_search), self._known.versions))
        settings = walking.settings(ef_search, one_plan=not self._search.filter)
        if settings != self._settings:
            await self._connection.execute(settings)
            self._settings = settings
        return await self._find(depth, statements.AS_ASKED, self._arguments)

    async def _find(self, depth: int | None, limit: str, further: Sequence[object]) -> Candidates:
        search, page, after = self._search, self._way.page, self._way.page.start
        sql = statements.ranking(
            self._project.id,
            self._way.space.id,
            self._conditions,
            limit=limit,
            by_product=search.by_product,
            reranked=bool(page.reranked),
        )
        arguments = [
            self._resolved.vector,
            page.shortlist + 1,
            LISTED_REFERENCES,
            1 - search.min_similarity,
            after.rank if after else None,
            after.image_id if after else None,
            after.product if after else None,
            depth,
            self._resolved.excluded,
            self._resolved.sha256,
            *further,
        ]
        rows = await self._timed(sql, arguments)
        found = ([], near(rows)) if page.reranked else (hits(rows), [])
        return Candidates(*found, rows[0]["found"], rows[0]["reach"] or 0.0, rows[0]["matching"])

    async def listed(self, scored: Sequence[tuple[Near, float]]) -> list[Hit]:
        """Return hits in this order with their scores and what is shown of them, less those just deleted."""
        conditions, arguments = self._search.filter.conditions("reference", _FIRST_LISTED_PARAMETER)
        sql = statements.listed(self._project.id, conditions, by_product=self._search.by_product)
        image_ids, distances, ranks, products = ([one[column] for one, _ in scored] for column in range(4))
        rows = await self._timed(sql, [image_ids, distances, LISTED_REFERENCES, ranks, products, *arguments])
        listed = {(hit.image_id, hit.product): hit for hit in hits(rows)}
        found = ((listed.get((one.image_id, one.product)), score) for one, score in scored)
        return [hit._replace(score=score) for hit, score in found if hit]

    async def _timed(self, sql: str, arguments: Sequence[object]) -> list[asyncpg.Record]:
        """Run the statement. If it is slow, its plan is logged."""
        started = time.perf_counter()
        rows = await self._connection.fetch(sql, *arguments)
        if (seconds := time.perf_counter() - started) >= self._slow_seconds:
            plan = await self._connection.fetch(f"EXPLAIN {sql}", *arguments)
            lines = _LITERAL.sub("'…'", "\n".join(row[0] for row in plan))  # a value may have line breaks
            fields = {"project": self._project.name, "seconds": round(seconds, 6), "plan": lines}
            self._metrics.slow.inc()
            logger.warning("slow search of project %r: %.3f s", self._project.name, seconds, extra=fields)
        return rows
