"""Get rankings from a searcher, by its SQL or its index, with any options that its searches have."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from lookalike.client import Client
from lookalike.evaluation.labels import LeftOut, Photo
from lookalike.evaluation.ranking import Ranked
from lookalike.evaluation.vectors import AdvanceCallback
from lookalike.records import SearchMode, SearchResult

_CHECK_BATCH: Final = 10_000
_DEPTH: Final = 1_000
"""The most hits of one search; photos of the label after them count as not found."""
_CONCURRENCY: Final = 4
_TIMED: Final = 200
_LIMIT: Final = 10
"""The number of hits of the searches that are timed, which is what most callers ask for."""


@dataclass(frozen=True)
class Served:
    """Served says which project holds the photos, and how to search it; nothing is written to it.

    Attributes:
        client: the client of the searcher.
        project: the project's name.
        space: the project's space to search in; None for the serving space.
        options: further arguments of `Client.search`, for example `{"exact": True}`.
    """

    client: Client
    project: str
    space: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    async def missing(self, photos: Sequence[Photo]) -> list[LeftOut]:
        """Return the photos that the project lacks. Raises NotFoundError if the project or the space does not exist."""
        held: set[bytes] = set()
        hashes = [photo.sha256 for photo in photos]
        for start in range(0, len(hashes), _CHECK_BATCH):
            held |= await self.client.check_images(self.project, hashes[start : start + _CHECK_BATCH], space=self.space)
        where = f"the project {self.project}" + (f", in {self.space}" if self.space else "")
        return [LeftOut(photo.name, f"not indexed in {where}") for photo in photos if photo.sha256 not in held]

    async def search(self, photo: Photo, limit: int) -> SearchResult:
        """Search for a photo by its hash, and so by its stored vector."""
        sha256 = photo.sha256.hex()
        return await self.client.search(self.project, sha256=sha256, limit=limit, space=self.space, **self.options)


@dataclass(frozen=True)
class Answers:
    """Answers holds the results of all searches of a project.

    Attributes:
        ranked: the rankings, without the query itself and without images that are not among the labelled photos.
        space: the space that was searched.
        mode: the mode of the searches; OTHER if they did not all have the same mode.
        images: the number of images that each search ranked.
        median_seconds: the median time of a search for ten hits, as the client measures it.
        p99_seconds: the 99th percentile of these times.
    """

    ranked: Ranked
    space: str
    mode: SearchMode
    images: int
    median_seconds: float
    p99_seconds: float


async def search_all(served: Served, photos: Sequence[Photo], advance: AdvanceCallback) -> Answers:
    """Search for each photo, for as many hits as possible; before that, time some searches for ten hits.

    Raises:
        LookalikeError: a search failed.
    """
    seconds = [(await served.search(photo, _LIMIT)).search_seconds for photo in photos[:_TIMED]]
    project = await served.client.get_project(served.project)
    limit = max(1, min(_DEPTH, project.image_count, project.limits.max_hits or _DEPTH))
    results: list[SearchResult] = []
    for start in range(0, len(photos), _CONCURRENCY):
        batch = photos[start : start + _CONCURRENCY]
        results += await asyncio.gather(*(served.search(photo, limit) for photo in batch))
        advance(len(batch))
    modes = {result.mode for result in results}
    return Answers(
        ranked=_ranked(results, photos),
        space=results[0].space,
        mode=modes.pop() if len(modes) == 1 else SearchMode.OTHER,
        images=results[0].images_ranked,
        median_seconds=float(np.median(seconds)),
        p99_seconds=float(np.quantile(seconds, 0.99)),
    )


def _ranked(results: Sequence[SearchResult], photos: Sequence[Photo]) -> Ranked:
    rows = {photo.sha256.hex(): row for row, photo in enumerate(photos)}
    order = np.full((len(photos), max(1, len(photos) - 1)), -1)
    similarities = np.full(order.shape, -np.inf, np.float32)
    for row, result in enumerate(results):
        hits = [(rows[hit.sha256], hit.similarity) for hit in result.hits if rows.get(hit.sha256, row) != row]
        order[row, : len(hits)] = [other for other, _ in hits]
        similarities[row, : len(hits)] = [similarity for _, similarity in hits]
    return Ranked(np.arange(len(photos)), order, similarities)
