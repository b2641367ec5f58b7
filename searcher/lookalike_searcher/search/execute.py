"""Execute one search in the database, exactly or through the index."""

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from lookalike_searcher.database import walking
from lookalike_searcher.database.statement import Connection, fragment, statement
from lookalike_searcher.images.filter import Filter
from lookalike_searcher.images.image import LISTED_REFERENCES
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects.known import Known
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.space import Space
from lookalike_searcher.search.hit import Hit, Near, hits, near
from lookalike_searcher.search.query import Resolved
from lookalike_searcher.search.types import Reason, Search

logger = logging.getLogger(__name__)

SELECTIVE: Final = 10_000
"""With so many matching references or fewer, the filter is applied first, and the matching images are ranked exactly.

With more, the index is walked, and images that do not match are skipped. By `make bench-searcher`, both are about as
fast at this number."""

_LITERAL: Final = re.compile(r"'(?:[^']|'')*'")
"""A value in a plan: of the query's vector, or of the caller's filter."""
_IMAGES_PER_PRODUCT: Final = 5
"""So many of the nearest images are looked at for one product, at first."""
_DEEPER: Final = 4
"""If they show too few products, so many times as many are looked at."""
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


@dataclass(frozen=True)
class Way:
    """The way says how a search is ranked in its project, as far as that is known before anything is looked up.

    Attributes:
        space: the space that is searched.
        depth: how many images the index is asked for at first.
        why_exact: why the ranking must be exact; None if it need not be, or only a filter can tell.
        settings: the settings with which the transaction begins.
    """

    space: Space
    depth: int
    why_exact: Reason | None
    settings: str


def way_of(search: Search, exact_threshold: float, project: Project) -> Way:
    """Return the way of a search in the project, which should have an index from the threshold on. Raises NotFound."""
    space = project.in_space(search.space)
    depth = (search.start.depth if search.start else 0) + search.depth
    if search.by_product:
        depth *= _IMAGES_PER_PRODUCT
    reason = None
    if search.exact:
        reason = Reason.ASKED
    elif search.after and search.after.exact:
        reason = Reason.EARLIER_PAGE
    elif space.index_time is None:
        reason = Reason.INDEX_BUILDING if project.image_count >= exact_threshold else Reason.BELOW_THRESHOLD
    elif space.exact_is_as_fast(depth):
        reason = Reason.BELOW_THRESHOLD
    ef_search = None if reason or search.filter else space.ef_search(depth)
    return Way(space, depth, reason, "" if ef_search is None else _walking(search, ef_search))


async def is_selective(connection: Connection, project: Project, image_filter: Filter) -> bool:
    """Return whether so few images match the filter that all of them can be compared."""
    conditions, arguments = image_filter.conditions("reference", 2)
    count = statement("search_count", project.id, filter=conditions)
    return bool(await connection.fetchval(count, SELECTIVE + 1, *arguments) <= SELECTIVE)


def _walking(search: Search, ef_search: int) -> str:
    """Return the settings for walking the index."""
    return walking.settings(ef_search, one_plan=not search.filter)


def _of_product(search: Search) -> str:
    """Return the condition that a product's hit shows its own references alone."""
    return "AND reference.product = page.product" if search.by_product else ""


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
        reason = self._way.why_exact
        image_filter = self._search.filter
        if reason is None and image_filter and await is_selective(self._connection, self._project, image_filter):
            reason = Reason.FILTER
        if reason is None:
            if candidates := await self.walk():
                return candidates, Reason.INDEX
            reason = Reason.FELL_BACK
            self._metrics.fallbacks.labels("too deep" if self._too_deep else "found too few").inc()
        return await self._exact(), reason

    async def _exact(self) -> Candidates:
        """Rank all images that match the filter."""
        nearest = fragment("search_nearest_all_of_products" if self._search.by_product else "search_nearest_all")
        filtered = bool(self._search.filter)
        return await self._find(
            None if self._search.by_product else self._search.depth,
            None,
            nearest=nearest,
            matching=fragment("search_matching") if filtered else "",
            count_of_matching="(SELECT count(*) FROM matching)" if filtered else "NULL::bigint",
            join_matching="JOIN matching USING (image_id)" if filtered else "",
        )

    async def walk(self) -> Candidates | None:
        """Rank images through the index. Returns None if it finds too few, or would have to be walked too deep.

        It finds none if the project is no longer as it was known.
        """
        search, depth = self._search, self._way.depth
        while (ef_search := self._way.space.ef_search(depth)) is not None:
            if not self._known:
                await self._set(_walking(search, ef_search))
            candidates = await self._find(
                depth,
                ef_search,
                nearest=fragment("search_nearest_index"),
                limit=self._known.limit if self._known else "$8::bigint",
                count_of_matching="NULL::bigint",
            )
            if candidates.looked_at < min(depth, self._project.image_count - len(self._resolved.excluded)):
                break  # the walk ended early
            all_seen = candidates.looked_at < depth or candidates.reach > 1 - search.min_similarity
            if all_seen or len(candidates) > search.shortlist:
                return candidates  # otherwise they show few products, or the page before has missed better ones
            depth *= _DEEPER
        self._too_deep = ef_search is None
        return None

    async def _set(self, settings: str) -> None:
        if settings != self._settings:
            await self._connection.execute(settings)
            self._settings = settings

    async def _find(self, depth: int | None, ef_search: int | None, **parts: str) -> Candidates:
        grouped = self._search.by_product
        all_parts = {  # in this order, as earlier parts have places for later ones
            "nearest": parts.pop("nearest"),
            "limit": "",
            "matching": "",
            "where_matching": fragment("search_where_matching") if self._search.filter else "",
            "join_matching": "",
            "hit": fragment("search_near" if self._search.reranked else "search_hit"),
            "grouped": fragment("search_grouped") if grouped else "",
            "pages_of": "grouped" if grouped else "ranked",
            "of_product": _of_product(self._search),
            **parts,
        }
        sql = statement("search", self._project.id, self._way.space.id, **all_parts, filter=self._conditions)
        after = self._search.start
        arguments = [
            self._resolved.vector,
            self._search.shortlist + 1,
            LISTED_REFERENCES,
            1 - self._search.min_similarity,
            after.rank if after else None,
            after.image_id if after else None,
            after.product if after else None,
            depth,
            self._resolved.excluded,
            self._resolved.sha256,
            *((str(ef_search), self._known.versions) if self._known else self._arguments),
        ]
        rows = await self._timed(sql, arguments)
        found = ([], near(rows)) if self._search.reranked else (hits(rows), [])
        return Candidates(*found, rows[0]["found"], rows[0]["reach"] or 0.0, rows[0]["matching"])

    async def listed(self, scored: Sequence[tuple[Near, float]]) -> list[Hit]:
        """Return hits in this order with their scores and what is shown of them, less those just deleted."""
        conditions, arguments = self._search.filter.conditions("reference", _FIRST_LISTED_PARAMETER)
        parts = {"hit": fragment("search_hit"), "of_product": _of_product(self._search), "filter": conditions}
        sql = statement("search_listed", self._project.id, **parts)
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
