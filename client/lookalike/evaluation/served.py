"""Rankings as a searcher gives them: by its SQL or its index, with whatever its searches are asked for."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from lookalike.client import Client
from lookalike.evaluation.labels import LeftOut, Photo
from lookalike.evaluation.ranking import Ranked
from lookalike.evaluation.vectors import Advance
from lookalike.records import SearchMode, SearchResult

_CHECKED: Final = 10_000
_DEPTH: Final = 1_000
"""Hits of one search, at most: what is right beyond them counts as not found."""
_AT_ONCE: Final = 4
_TIMED: Final = 200
_LIMIT: Final = 10
"""Hits of the searches that are timed, as most people ask for."""


@dataclass(frozen=True)
class Served:
    """A project that the photos are indexed in, and how it is searched. Nothing is written to it.

    Attributes:
        client: reaches the searcher.
        project: the project's name.
        space: its space to search in; None: the one that serves.
        options: further arguments of `Client.search`, for example `{"exact": True}`.
    """

    client: Client
    project: str
    space: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    async def lacking(self, photos: Sequence[Photo]) -> list[LeftOut]:
        """The photos that it does not hold. Raises NotFoundError: there is no such project or space."""
        held: set[bytes] = set()
        hashes = [photo.sha256 for photo in photos]
        for start in range(0, len(hashes), _CHECKED):
            held |= await self.client.check_images(self.project, hashes[start : start + _CHECKED], space=self.space)
        where = f"the project {self.project}" + (f", in {self.space}" if self.space else "")
        return [LeftOut(photo.name, f"not indexed in {where}") for photo in photos if photo.sha256 not in held]

    async def search(self, photo: Photo, limit: int) -> SearchResult:
        """A search for a photo by its hash: its vector is the one that is stored."""
        sha256 = photo.sha256.hex()
        return await self.client.search(self.project, sha256=sha256, limit=limit, space=self.space, **self.options)


@dataclass(frozen=True)
class Answers:
    """What the searcher answered.

    Attributes:
        ranked: the rankings, without the query itself and without what bears no label.
        space: that was searched.
        mode: how, if all searches were made so.
        images: ranked by each search.
        median_seconds: of a search for ten hits, as the client saw it.
        p99_seconds: likewise.
    """

    ranked: Ranked
    space: str
    mode: SearchMode
    images: int
    median_seconds: float
    p99_seconds: float


async def asked(served: Served, photos: Sequence[Photo], advance: Advance) -> Answers:
    """Search for each photo: first some for ten hits, one after the other, to be timed, then all for as many as can be.

    Raises LookalikeError.
    """
    seconds = [(await served.search(photo, _LIMIT)).search_seconds for photo in photos[:_TIMED]]
    project = await served.client.get_project(served.project)
    limit = max(1, min(_DEPTH, project.image_count, project.limits.max_hits or _DEPTH))
    results: list[SearchResult] = []
    for start in range(0, len(photos), _AT_ONCE):
        some = photos[start : start + _AT_ONCE]
        results += await asyncio.gather(*(served.search(photo, limit) for photo in some))
        advance(len(some))
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
