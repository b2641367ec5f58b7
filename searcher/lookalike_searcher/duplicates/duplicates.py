"""Find the duplicates of a whole project: near duplicates, and files that are used in several places."""

import asyncio
import secrets
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.database.pool import Database
from lookalike_searcher.duplicates import approximate, exact, files
from lookalike_searcher.duplicates.approximate import Lookup
from lookalike_searcher.duplicates.cluster import Cluster, ClusterReader
from lookalike_searcher.duplicates.exact import Scan
from lookalike_searcher.duplicates.proofs import Proofs
from lookalike_searcher.duplicates.query import DuplicateQuery, Place
from lookalike_searcher.duplicates.survey import Counts, Survey
from lookalike_searcher.duplicates.verification import PairVerifier
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.space_reader import SpaceReader

EXACT_UP_TO: Final = 500_000
"""Up to so many images, all are compared, even if there is an index: this is faster."""
SIGN_SECONDS: Final = 2.0
"""After so long without a cluster, the next step ends with a sign of progress."""
KEPT: Final = 4
"""So many surveys are kept, so that a search goes on where it was; one with a million pairs takes up to 40 MB, and its
proofs 20 MB."""
_COMPARISONS: Final = 1_000_000_000
"""A step takes so many comparisons, which is a few seconds' work."""
_MIN_BLOCK: Final = 4096
"""A step compares so many images at least: with fewer, most of the time would go into reading the others."""
_READ: Final = 200
"""The images of clusters are read so many at a time."""


@dataclass(frozen=True)
class Progress:
    """The next cluster comes with its place, or None comes as a sign of progress.

    Both tell the project's image count, and what became of its pairs, if pairs are looked for.
    """

    cluster: Cluster | None
    place: Place
    image_count: int
    counts: Counts | None = None


class Duplicates:
    """The duplicates are found in turns: searches alternate step by step, so that their memory does not add up.

    Args:
        database: the database of the project.
        threads: compare fingerprints.
        exact_up_to: up to so many images, all are compared, even if there is an index.
        sign_seconds: seconds without a cluster after which there is a sign of progress.
    """

    def __init__(
        self,
        database: Database,
        threads: ComparisonThreads,
        *,
        exact_up_to: int = EXACT_UP_TO,
        sign_seconds: float = SIGN_SECONDS,
    ) -> None:
        self._database = database
        self._threads = threads
        self._exact_up_to = exact_up_to
        self._sign_seconds = sign_seconds
        self._turn = asyncio.Semaphore()
        self._surveys: OrderedDict[str, Survey] = OrderedDict()

    async def find(self, query: DuplicateQuery) -> AsyncGenerator[Progress, None]:
        """Yield the clusters, by the id of their first image, with signs of progress between them and at the end.

        Images that change meanwhile may or may not be seen. If a derived space serves, its source is searched, since
        the threshold of near duplicates was measured there.

        Raises:
            NotFound: there is no such project, or the space of `after` has been deleted.
            InvalidField: `after` is of another project of the same name.
        """
        project = await registry.get(self._database, query.project_name)
        place = query.after or _beginning(query, project)
        if place.project_id != project.id:
            raise InvalidField("resume_token", "must be of this project", place)
        source = SpaceReader(self._database, project.name, project.id, place.space, project.in_space(place.space).id)
        verifier = PairVerifier(source, self._threads)
        clusters = ClusterReader(source, verifier, query.keep)
        if query.same_file_only:
            found = _files(query, source, place, clusters)
        else:
            found = self._near(self._survey(query, project, source, verifier, place), project, place, clusters)
        async with aclosing(found):
            async for progress in found:
                yield progress

    async def _near(
        self, survey: Survey, project: Project, place: Place, clusters: ClusterReader
    ) -> AsyncGenerator[Progress, None]:
        """Yield clusters of near duplicates, and files that are used in several places, once all pairs are known."""
        signed_at = time.monotonic()
        while survey.groups is None:
            async with self._turn:
                await survey.step()
            place = place._replace(examined=survey.examined)
            if time.monotonic() - signed_at >= self._sign_seconds:
                yield Progress(None, place, project.image_count, replace(survey.counts))
                signed_at = time.monotonic()
        place = place._replace(examined=survey.examined)
        left = [group for group in survey.groups if group[0] > place.image_id]
        for part in _parts(left):
            read = await clusters.read(part, survey.clusters.fellows, survey.proofs)
            for ids, cluster in zip(part, read, strict=True):
                if cluster:
                    at = place._replace(image_id=ids[0])
                    yield Progress(cluster, at, project.image_count, replace(survey.counts))
        last = left[-1][0] if left else place.image_id
        yield Progress(None, place._replace(image_id=last), project.image_count, replace(survey.counts))

    def _survey(
        self, query: DuplicateQuery, project: Project, source: SpaceReader, verifier: PairVerifier, place: Place
    ) -> Survey:
        """Return the survey that the place names if it is of this query, or a new one, which goes by that name then."""
        asked = replace(query, after=None)
        kept = self._surveys.get(place.survey)
        if kept is None or kept.query != asked or kept.source != source:
            kept = self._begun(asked, project, source, verifier)
        self._surveys[place.survey] = kept
        self._surveys.move_to_end(place.survey)
        if len(self._surveys) > KEPT:
            self._surveys.popitem(last=False)
        return kept

    def _begun(self, query: DuplicateQuery, project: Project, source: SpaceReader, verifier: PairVerifier) -> Survey:
        """Return a new survey, which compares all images, or asks the index for near ones."""
        space = project.in_space(source.space)
        if space.index_time and project.image_count > self._exact_up_to:
            lookup = Lookup(source, query.least, space.dimensions)
            return Survey(query, source, lookup, verifier, approximate.AT_ONCE)
        size = min(max(_COMPARISONS // max(1, project.image_count), _MIN_BLOCK), exact.AT_ONCE)
        return Survey(query, source, Scan(source, query.least, space.dimensions), verifier, size)


def _beginning(query: DuplicateQuery, project: Project) -> Place:
    if query.same_file_only:
        return Place(project.id, "", "", 0, 0)
    return Place(project.id, project.base(project.serving).name, secrets.token_hex(8), 0, 0)


async def _files(
    query: DuplicateQuery, source: SpaceReader, place: Place, clusters: ClusterReader
) -> AsyncGenerator[Progress, None]:
    """Yield the files that are used in several places, as they are found."""
    async for block in files.blocks(source, query.scope, place.image_id):
        for part in _parts([[image] for image in block.used]):
            for ids, cluster in zip(part, await clusters.read(part, {}, Proofs()), strict=True):
                if cluster:
                    yield Progress(cluster, _at(place, block.ids, ids[0]), block.image_count)
        place = _at(place, block.ids, block.ids[-1]) if block.ids else place
        yield Progress(None, place, block.image_count)


def _at(before: Place, ids: Sequence[int], image: int) -> Place:
    """Return the place after these images have been examined up to one of them."""
    return before._replace(image_id=image, examined=before.examined + bisect_right(ids, image))


def _parts(groups: Iterable[Sequence[int]]) -> Iterable[list[Sequence[int]]]:
    """Yield the groups in parts of at most _READ images, or of one group."""
    part: list[Sequence[int]] = []
    for ids in groups:
        if part and sum(map(len, part)) + len(ids) > _READ:
            yield part
            part = []
        part.append(ids)
    if part:
        yield part
