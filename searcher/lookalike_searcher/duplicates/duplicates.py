"""Find the duplicates of a whole project: near duplicates, and files that are used in several places."""

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
"""Up to so many images, all are compared, even if there is an index: this is faster."""
SIGN_SECONDS: Final = 2.0
"""After so long without a cluster, the next block ends with a sign of progress."""
_COMPARISONS: Final = 1_000_000_000
"""A block takes so many comparisons, which is a few seconds' work."""
_MIN_BLOCK: Final = 4096
"""A block has so many images at least: with fewer, most of the time would go into reading the others."""
_FILES: Final = 10_000
"""A block has so many images if no vectors are compared."""
_READ: Final = 200
"""The images of clusters are read so many at a time."""


class Place(NamedTuple):
    """The place is where a search for duplicates stands: its last examined image, and how many it has examined."""

    project_id: int
    space: str
    image_id: int
    examined: int


PLACE_TYPES: Final = (int, str, int, int)
"""The types of a place's fields, to check a place that comes from a client."""


@dataclass(frozen=True)
class DuplicateQuery:
    """The query says which duplicates to find.

    Attributes:
        project_name: the name of the project.
        min_similarity: the least cosine of near duplicates.
        same_file_only: whether to find only files that are used in several places.
        after: the place of an earlier answer, after which to go on.
    """

    project_name: str
    min_similarity: float = NEAR_DUPLICATE
    same_file_only: bool = False
    after: Place | None = None


@dataclass(frozen=True)
class Progress:
    """The next cluster comes with its place, or None comes as a sign of progress.

    Both tell the project's image count.
    """

    cluster: Cluster | None
    place: Place
    image_count: int


@dataclass(frozen=True)
class _Block:
    """Some images in order of id, those among them that are used in several places, and the project's image count."""

    ids: list[int]
    used: list[int]
    image_count: int


class Duplicates:
    """The duplicates are found in turns: searches alternate block by block, so that their memory does not add up.

    Args:
        database: the database of the project.
        exact_up_to: up to so many images, all are compared, even if there is an index.
        sign_seconds: seconds without a cluster after which there is a sign of progress.
    """

    def __init__(
        self, database: Database, *, exact_up_to: int = EXACT_UP_TO, sign_seconds: float = SIGN_SECONDS
    ) -> None:
        self._database = database
        self._exact_up_to = exact_up_to
        self._sign_seconds = sign_seconds
        self._turn = asyncio.Semaphore()

    async def find(self, query: DuplicateQuery) -> AsyncGenerator[Progress, None]:
        """Yield the clusters, by the id of their first image, with signs of progress between them and at the end.

        Images that change meanwhile may or may not be seen: each block, and each cluster, is read as of its own time.
        If a derived space serves, its source is searched, since the threshold of near duplicates was measured there.

        Raises:
            NotFound: there is no such project, or the space of `after` has been deleted.
            InvalidField: `after` is of another project of the same name.
        """
        project = await registry.get(self._database, query.project_name)
        place = query.after or Place(
            project.id, "" if query.same_file_only else project.base(project.serving).name, 0, 0
        )
        if place.project_id != project.id:
            raise InvalidField("resume_token", "must be of this project", place)
        space = project.in_space(place.space)
        source = SpaceReader(self._database, project.name, project.id, place.space, space.id)
        size, forest = self._way(query, source, project, space, place.image_id)
        signed_at = time.monotonic()
        while True:
            block = await _next(source, place.image_id, size)
            clusters = [[image] for image in block.used]
            if forest and block.ids:
                async with self._turn:
                    clusters = await forest.clusters(block.ids, set(block.used))
            for part in _parts(clusters):
                for ids, one_cluster in zip(part, await cluster.read(source, part), strict=True):
                    if one_cluster:
                        yield Progress(one_cluster, _at(place, block, ids[0]), block.image_count)
                        signed_at = time.monotonic()
            place = _at(place, block, block.ids[-1]) if block.ids else place
            last = len(block.ids) < size
            if last or time.monotonic() - signed_at >= self._sign_seconds:
                yield Progress(None, place, block.image_count)
                signed_at = time.monotonic()
            if last:
                return

    def _way(
        self, query: DuplicateQuery, source: SpaceReader, project: Project, space: Space, began: int
    ) -> tuple[int, Forest | None]:
        """Return how many images a block has, and the forest that clusters near ones, if any."""
        if query.same_file_only:
            return _FILES, None
        if space.index_time and project.image_count > self._exact_up_to:
            return approximate.AT_ONCE, Forest(Lookup(source, query.min_similarity, space.dimensions), began)
        size = _COMPARISONS // max(1, project.image_count)
        return min(max(size, _MIN_BLOCK), exact.AT_ONCE), Forest(
            Scan(source, query.min_similarity, space.dimensions), began
        )


async def _next(source: SpaceReader, after: int, size: int) -> _Block:
    """Return the next block of images."""
    async with source.reading() as (connection, project, _):
        rows = await connection.fetch(statement("duplicate_block", project.id), after, size)
        ids = [row["id"] for row in rows]
        used = await connection.fetch(statement("duplicate_used", project.id), ids[0], ids[-1]) if ids else []
        return _Block(ids, sorted(row["image_id"] for row in used), project.image_count)


def _at(before: Place, block: _Block, image: int) -> Place:
    """Return the place after the block has been examined up to the image."""
    return before._replace(image_id=image, examined=before.examined + bisect_right(block.ids, image))


def _parts(clusters: Iterable[Sequence[int]]) -> Iterable[list[Sequence[int]]]:
    """Yield the clusters in parts of at most _READ images, or of one cluster."""
    part: list[Sequence[int]] = []
    for ids in clusters:
        if part and sum(map(len, part)) + len(ids) > _READ:
            yield part
            part = []
        part.append(ids)
    if part:
        yield part
