"""The duplicates of a whole project: near ones, and files that are used in several places."""

import asyncio
import time
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from lookalike.constants import NEAR_DUPLICATE
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.duplicates import approximate, cluster, exact
from lookalike_searcher.duplicates.approximate import Lookup
from lookalike_searcher.duplicates.cluster import Cluster
from lookalike_searcher.duplicates.clustering import Forest
from lookalike_searcher.duplicates.exact import Scan
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.registry import Project
from lookalike_searcher.projects.space import Space
from lookalike_searcher.projects.space_reader import SpaceReader

EXACT_UP_TO: Final = 500_000
"""Images up to which all are compared, also where there is an index: up to here that is quicker."""
SIGN_SECONDS: Final = 2.0
"""After so long without a cluster there is a sign of progress, at the end of a block."""
_COMPARISONS: Final = 1_000_000_000
"""In one block: a few seconds' work."""
_LEAST_BLOCK: Final = 4096
"""Images of a block even so; with fewer, most of the time would go into reading the others."""
_FILES: Final = 10_000
"""Images of a block where no vectors are compared."""
_READ: Final = 200
"""Images of clusters that are read at a time."""


class Place(NamedTuple):
    """Where a search for duplicates is: the image up to which it is done, and how many that are."""

    project_id: int
    space: str
    image_id: int
    examined: int


PLACE_TYPES: Final = (int, str, int, int)
"""Of a place's parts, for those that come from outside."""


@dataclass(frozen=True)
class Asked:
    """What is asked.

    Attributes:
        project: its name.
        min_similarity: the least cosine of near duplicates.
        same_file_only: whether only files that are used in several places count.
        after: where an answer of before was.
    """

    project: str
    min_similarity: float = NEAR_DUPLICATE
    same_file_only: bool = False
    after: Place | None = None


@dataclass(frozen=True)
class Progress:
    """The next cluster, or a sign that there is none up to here; and how many images the project has."""

    cluster: Cluster | None
    place: Place
    image_count: int


@dataclass(frozen=True)
class _Block:
    """Some images in order of id, those of them that are used in several places, and the images of the project."""

    ids: list[int]
    used: list[int]
    image_count: int


class Duplicates:
    """Finds duplicates. Searches take turns block by block, so that they do not add up in memory.

    Args:
        database: where.
        exact_up_to: images up to which all are compared with all, also where there is an index.
        sign_seconds: after how long without a cluster there is a sign of progress.
    """

    def __init__(
        self, database: Database, *, exact_up_to: int = EXACT_UP_TO, sign_seconds: float = SIGN_SECONDS
    ) -> None:
        self._database = database
        self._exact_up_to = exact_up_to
        self._sign_seconds = sign_seconds
        self._turn = asyncio.Semaphore()

    async def find(self, asked: Asked) -> AsyncGenerator[Progress, None]:
        """The clusters, by the id of their first image, with signs of progress between them and at the end.

        Images that change meanwhile may or may not be seen: each block, and each cluster, is read as it is then. Where
        a derived space serves, its source is asked: what near duplicates are was measured there.

        Raises:
            NotFound: there is no such project, or the space where it began has been deleted.
            InvalidField: it began in another project of the same name.
        """
        project = await registry.get(self._database, asked.project)
        place = asked.after or Place(
            project.id, "" if asked.same_file_only else project.base(project.serving).name, 0, 0
        )
        if place.project_id != project.id:
            raise InvalidField("resume_token", "must be of this project", place)
        source = SpaceReader(self._database, project.name, project.id, place.space)
        space = project.in_space(place.space)
        size, forest = self._way(asked, source, project, space, place.image_id)
        told = time.monotonic()
        while True:
            block = await _next(source, place.image_id, size)
            clusters = [[image] for image in block.used]
            if forest and block.ids:
                async with self._turn:
                    clusters = await forest.clusters(block.ids, set(block.used))
            for part in _parts(clusters):
                for ids, found in zip(part, await cluster.read(source, part), strict=True):
                    if found:
                        yield Progress(found, _at(place, block, ids[0]), block.image_count)
                        told = time.monotonic()
            place = _at(place, block, block.ids[-1]) if block.ids else place
            last = len(block.ids) < size
            if last or time.monotonic() - told >= self._sign_seconds:
                yield Progress(None, place, block.image_count)
                told = time.monotonic()
            if last:
                return

    def _way(
        self, asked: Asked, source: SpaceReader, project: Project, space: Space, began: int
    ) -> tuple[int, Forest | None]:
        """How many images to examine at a time, and what finds near ones among them."""
        if asked.same_file_only:
            return _FILES, None
        if space.index_time and project.image_count > self._exact_up_to:
            return approximate.AT_ONCE, Forest(Lookup(source, asked.min_similarity), began)
        size = _COMPARISONS // max(1, project.image_count)
        return min(max(size, _LEAST_BLOCK), exact.AT_ONCE), Forest(Scan(source, asked.min_similarity), began)


async def _next(source: SpaceReader, after: int, size: int) -> _Block:
    """The next images."""
    async with source.reading() as (connection, project, _):
        rows = await connection.fetch(statement("duplicate_block", project.id), after, size)
        ids = [row["id"] for row in rows]
        used = await connection.fetch(statement("duplicate_used", project.id), ids[0], ids[-1]) if ids else []
        return _Block(ids, sorted(row["image_id"] for row in used), project.image_count)


def _at(before: Place, block: _Block, image: int) -> Place:
    """The place once the block is examined up to the image."""
    return before._replace(image_id=image, examined=before.examined + bisect_right(block.ids, image))


def _parts(clusters: Iterable[Sequence[int]]) -> Iterable[list[Sequence[int]]]:
    """The clusters, as many at a time as have _READ images, or one."""
    part: list[Sequence[int]] = []
    for ids in clusters:
        if part and sum(map(len, part)) + len(ids) > _READ:
            yield part
            part = []
        part.append(ids)
    if part:
        yield part
