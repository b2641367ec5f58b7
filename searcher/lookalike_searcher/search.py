"""Ranking a project's images: which way, and how deep."""

import json
import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, NamedTuple

import asyncpg

from lookalike_searcher import project as registry
from lookalike_searcher import query as queries
from lookalike_searcher.database import Database
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.filter import Filter
from lookalike_searcher.image import LISTED_REFERENCES, Reference
from lookalike_searcher.index import ef_settings
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.project import Project
from lookalike_searcher.query import Query, Resolved
from lookalike_searcher.space import Space
from lookalike_searcher.statement import Connection, fragment, statement

logger = logging.getLogger(__name__)

NEAR_DUPLICATE: Final = 0.95
"""The least similarity of a near duplicate.

Measured with vgg16-rmac512 on 180 photos of clothing and groceries: recompression (quality 30) and halving the size
leave 99 % of the copies at or above it, a 5 % crop or a mirror image 76 to 94 %, a 10 % crop or a 6 % border less than
10 %; of 713 clothing photos the nearest other photo reaches .928, while groceries shot one after another reach .996.
"""

SELECTIVE: Final = 10_000
"""References up to which a filter is applied first and what passes is ranked exactly.

Beyond, the index is walked and what does not pass is skipped. By `make bench-searcher`, up to here the former is about
as quick as the latter."""

_VECTOR: Final = re.compile(r"\[[^\]]{100,}\]")
_IMAGES_PER_PRODUCT: Final = 5
"""How many of the nearest images to look at for one product, at first."""
_DEEPER: Final = 4
"""How much deeper to look when they show too few products."""
_FIRST_FILTER_PARAMETER: Final = 10


class Position(NamedTuple):
    """The last hit of a page, how many hits there were up to it, and how they were found."""

    project_id: int
    space: str
    distance: float
    image_id: int
    product: str
    depth: int
    exact: bool


POSITION_TYPES: Final = (int, str, float, int, str, int, bool)
"""Of a position's parts, for those that come from outside."""


@dataclass(frozen=True)
class Search:
    """What is asked.

    Attributes:
        project: its name.
        query: what to rank by.
        limit: the most hits.
        space: the space's name; empty for the one that serves.
        filter: which images to rank.
        min_similarity: the least similarity of a hit.
        by_product: whether a hit is a product's best image.
        exact: whether every image must be compared.
        after: where the page before ended.
    """

    project: str
    query: Query
    limit: int
    space: str = ""
    filter: Filter = field(default_factory=Filter)
    min_similarity: float = -1.0
    by_product: bool = False
    exact: bool = False
    after: Position | None = None


@dataclass(frozen=True)
class Hit:
    """An image, its similarity in [-1, 1], and the first of its references that count."""

    image_id: int
    distance: float
    product: str
    sha256: bytes
    width: int
    height: int
    references: tuple[Reference, ...]
    reference_count: int

    @property
    def similarity(self) -> float:
        """The cosine of the angle to the query."""
        return max(-1.0, min(1.0, 1 - self.distance))  # rounding may step over the edge


@dataclass(frozen=True)
class Ranking:
    """Hits, most similar first; how they were found; and, if there are more, where this page ended."""

    hits: list[Hit]
    exact: bool
    images_ranked: int
    space: str
    query: Resolved
    last: Position | None


@dataclass(frozen=True)
class _Found:
    """What a statement found: hits; how many images it looked at, up to which distance; how many passed the filter."""

    hits: list[Hit]
    looked_at: int
    reach: float
    matching: int | None


async def rank(
    database: Database,
    search: Search,
    *,
    admit: Callable[[Project], None] = lambda _: None,
    slow_seconds: float = math.inf,
) -> Ranking:
    """The images, or products, most similar to the query.

    Args:
        database: where.
        search: what is asked.
        admit: is told the project before anything is ranked, and may raise.
        slow_seconds: how long a statement may take before it is logged with its plan.

    Raises:
        NotFound: there is no such project, space or image.
        FailedPrecondition: the query's vector is of another space.
        InvalidField: the page before was of another project or space.
    """
    async with registry.reading(database, search.project) as (connection, project):
        admit(project)
        space = project.in_space(search.space)
        if search.after and search.after[:2] != (project.id, space.name):
            raise InvalidField("page_token", f"must be of project {project.id} and space {space.name!r}", search.after)
        resolved = await queries.resolve(connection, project, space, search.query)
        ranker = _Ranker(connection, project, space, search, resolved, slow_seconds, database.metrics)
        found = await ranker.approximate()
        exact = found is None
        if found is None:
            found = await ranker.exact()
        ranked = found.matching
        if ranked is None:
            ranked = await _vector_count(connection, project, space)
    hits = found.hits[: search.limit]
    depth = (search.after.depth if search.after else 0) + len(hits)
    more = len(found.hits) > search.limit
    last = None
    if more:
        final = hits[-1]
        last = Position(project.id, space.name, final.distance, final.image_id, final.product, depth, exact)
    return Ranking(hits, exact, ranked, space.name, resolved, last)


async def _vector_count(connection: Connection, project: Project, space: Space) -> int:
    """How many images the space has a vector of: all, as a rule."""
    if space.complete:
        return project.image_count
    return int(await connection.fetchval(statement("vector_count", project.id, space.id)))


class _Ranker:
    """One search, in its transaction."""

    def __init__(
        self,
        connection: Connection,
        project: Project,
        space: Space,
        search: Search,
        resolved: Resolved,
        slow_seconds: float,
        metrics: Metrics,
    ) -> None:
        self._connection = connection
        self._metrics = metrics
        self._project, self._space, self._search, self._resolved = project, space, search, resolved
        self._slow_seconds = slow_seconds
        self._conditions, self._arguments = search.filter.conditions("reference", _FIRST_FILTER_PARAMETER)

    async def exact(self) -> _Found:
        """Compare every image that passes the filter."""
        nearest = fragment("search_nearest_all_of_products" if self._search.by_product else "search_nearest_all")
        filtered = bool(self._search.filter)
        return await self._find(
            None if self._search.by_product else self._search.limit + 1,
            nearest=nearest,
            matching=fragment("search_matching") if filtered else "",
            count_of_matching="(SELECT count(*) FROM matching)" if filtered else "NULL::bigint",
            join_matching="JOIN matching USING (image_id)" if filtered else "",
        )

    async def approximate(self) -> _Found | None:
        """Ask the index; None where the ranking must be exact, or the index has not found as many as there are."""
        search = self._search
        if search.exact or self._space.index_time is None or (search.after and search.after.exact):
            return None
        if search.filter and await self._is_selective():
            return None
        wanted = (search.after.depth if search.after else 0) + search.limit + 1
        depth = wanted * _IMAGES_PER_PRODUCT if search.by_product else wanted
        while (ef_search := self._space.ef_search(depth)) is not None:
            await self._connection.execute(ef_settings(ef_search))
            found = await self._find(
                depth,
                nearest=fragment("search_nearest_index"),
                where_matching=fragment("search_where_matching") if search.filter else "",
                count_of_matching="NULL::bigint",
            )
            if found.looked_at < min(depth, self._project.image_count - len(self._resolved.excluded)):
                break  # the walk ended early
            all_seen = found.looked_at < depth or found.reach > 1 - search.min_similarity
            if all_seen or len(found.hits) > search.limit:
                return found  # else they were of few products, or better than the page before, which had missed them
            depth *= _DEEPER
        self._metrics.fallbacks.labels("too deep" if ef_search is None else "found too few").inc()
        return None

    async def _is_selective(self) -> bool:
        """Whether so few images pass the filter that all of them can be compared."""
        conditions, arguments = self._search.filter.conditions("reference", 2)
        count = statement("search_count", self._project.id, filter=conditions)
        return bool(await self._connection.fetchval(count, SELECTIVE + 1, *arguments) <= SELECTIVE)

    async def _find(self, depth: int | None, **parts: str) -> _Found:
        grouped = self._search.by_product
        all_parts = {  # in this order, as the first hold places of the later ones
            "nearest": parts.pop("nearest"),
            "matching": "",
            "where_matching": "",
            "join_matching": "",
            "grouped": fragment("search_grouped") if grouped else "",
            "pages_of": "grouped" if grouped else "nearest",
            "of_product": "AND reference.product = page.product" if grouped else "",
            **parts,
        }
        sql = statement("search", self._project.id, self._space.id, **all_parts, filter=self._conditions)
        after = self._search.after
        arguments = [
            self._resolved.vector,
            self._search.limit + 1,
            LISTED_REFERENCES,
            1 - self._search.min_similarity,
            after.distance if after else None,
            after.image_id if after else None,
            after.product if after else None,
            depth,
            self._resolved.excluded,
            *self._arguments,
        ]
        rows = await self._timed(sql, arguments)
        return _Found(list(_hits(rows)), rows[0]["found"], rows[0]["reach"] or 0.0, rows[0]["matching"])

    async def _timed(self, sql: str, arguments: Sequence[object]) -> list[asyncpg.Record]:
        """Run the statement; if it is slow, log its plan."""
        started = time.perf_counter()
        rows = await self._connection.fetch(sql, *arguments)
        if (seconds := time.perf_counter() - started) >= self._slow_seconds:
            plan = await self._connection.fetch(f"EXPLAIN {sql}", *arguments)
            lines = "\n".join(_VECTOR.sub("[…]", row[0]) for row in plan)
            fields = {"project": self._project.name, "seconds": round(seconds, 6), "plan": lines}
            self._metrics.slow.inc()
            logger.warning("slow search of project %r: %.3f s\n%s", self._project.name, seconds, lines, extra=fields)
        return rows


def _hits(rows: Iterable[asyncpg.Record]) -> Iterable[Hit]:
    """One hit per image or product; the rows, one per reference, come hit by hit."""
    for (image_id, product), group in groupby(rows, key=lambda row: (row["image_id"], row["group_product"])):
        if image_id is None:  # the row that says that there is no hit
            continue
        of_image = list(group)
        first = of_image[0]
        yield Hit(
            image_id=image_id,
            distance=first["distance"],
            product=product,
            sha256=first["sha256"],
            width=first["width"],
            height=first["height"],
            references=tuple(reference(row) for row in of_image),
            reference_count=first["reference_count"],
        )


def reference(row: asyncpg.Record) -> Reference:
    """The reference of a row that has its columns."""
    return Reference(row["uri"], row["product"], row["variant"], row["staged"], json.loads(row["labels"]))
