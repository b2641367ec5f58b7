"""Find neighbours by comparison with every vector of the space."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import asyncpg
import numpy as np

from lookalike_searcher.database.statement import statement
from lookalike_searcher.duplicates import sketch
from lookalike_searcher.duplicates.neighbours import TOLERANCE
from lookalike_searcher.duplicates.sketch import Rotation, Vectors
from lookalike_searcher.projects.space_reader import SpaceReader

AT_ONCE: Final = 16_384
"""So many images are compared with all others at a time. With half, all would be read twice as often."""
_MAX_NUMBERS: Final = AT_ONCE * 512
"""Images with so many numbers are compared at a time at most: 40 MB with their sketches."""
_PAGE: Final = 2048
"""So many vectors are read at a time: 8 MB of VGG16's. To read one costs as much as 3,000 comparisons."""


class Scan:
    """The scan finds all neighbours exactly.

    It reads all vectors past the queried ones, and holds some 60 MB, however many there are.

    So vectors are read several times. With 100,000 images, that is a quarter of the time; to keep them would take 100
    MB.

    Args:
        source: reads the vectors.
        min_similarity: the least cosine of a near image.
        dimensions: how many dimensions the vectors have.
    """

    def __init__(self, source: SpaceReader, min_similarity: float, dimensions: int) -> None:
        self._source = source
        self._dimensions = dimensions
        self._at_once = max(1, min(AT_ONCE, _MAX_NUMBERS // dimensions))
        self._min_similarity = min_similarity - TOLERANCE
        self._rotation: Rotation | None = None

    async def later(self, ids: Iterable[int], skip: Collection[int]) -> dict[int, int]:
        """Compare the images with all later ones; see `Neighbours`."""
        firsts: dict[int, int] = {}
        skipped = np.fromiter(skip, np.int64, len(skip))
        for part in self._parts(ids):
            images = await self._images(part)
            after = part[0]
            while len(images) and len(page := await self._page(after, 2**63 - 1)):
                after = int(page.ids[-1])
                near = await asyncio.to_thread(_near, page, skipped, images, self._min_similarity)
                for image, first in near.items():
                    firsts.setdefault(image, first)  # an earlier part has earlier images
        return firsts

    async def earlier(self, ids: Iterable[int], up_to: int) -> dict[int, int]:
        """Compare the images with all earlier ones; see `Neighbours`."""
        firsts: dict[int, int] = {}
        for part in self._parts(ids):
            images, after = await self._images(part), 0
            while len(images) and len(page := await self._page(after, min(up_to, part[-1] - 1))):
                after = int(page.ids[-1])
                near = await asyncio.to_thread(sketch.earliest_near, images, page, self._min_similarity)
                firsts |= near
                images = sketch.without(images, np.flatnonzero(np.isin(images.ids, list(near))))
        return firsts

    async def _images(self, ids: Sequence[int]) -> Vectors:
        """Return the vectors of the images that exist; `ids` has at least one."""
        parts = (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))
        return sketch.joined([await self._read("duplicate_vectors", part) for part in parts])

    async def _page(self, after: int, up_to: int) -> Vectors:
        """Return the next page of vectors after an id; empty at the end."""
        return await self._read("duplicate_page", after, up_to, _PAGE)

    async def _read(self, name: str, *arguments: object) -> Vectors:
        async with self._source.reading() as (connection, project, space):
            rows = await connection.fetch(statement(name, project.id, space.id), *arguments)
        return await asyncio.to_thread(self._vectors, rows)

    def _vectors(self, rows: Sequence[asyncpg.Record]) -> Vectors:
        decoded = sketch.decoded([row["vector"] for row in rows], self._dimensions)
        rotation = self._rotation or Rotation(decoded)
        if rows:
            self._rotation = rotation
        return rotation.vectors([row["image_id"] for row in rows], decoded)

    def _parts(self, ids: Iterable[int]) -> Iterable[list[int]]:
        """Return the ids in order, in parts."""
        ordered = sorted(ids)
        return (ordered[start : start + self._at_once] for start in range(0, len(ordered), self._at_once))


def _near(page: Vectors, skipped: np.ndarray, images: Vectors, min_similarity: float) -> dict[int, int]:
    """Return the first near image among `images` for each image of the page that is not skipped, if there is one."""
    return sketch.earliest_near(page[~np.isin(page.ids, skipped)], images, min_similarity)
