"""Find neighbours by comparison with every vector of the space."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final

import asyncpg

from lookalike_searcher.database.statement import statement
from lookalike_searcher.duplicates import sketch
from lookalike_searcher.duplicates.neighbours import TOLERANCE, Pairs
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

    It reads all vectors, or those past the queried ones, and holds some 60 MB, however many there are.

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

    async def pairs(self, ids: Sequence[int], *, later_only: bool) -> AsyncGenerator[Pairs, None]:
        """Compare the images with all others, or all later ones; see `Neighbours`."""
        for start in range(0, len(ids), self._at_once):
            part = ids[start : start + self._at_once]
            images = await self._images(part)
            after = part[0] if later_only else 0
            while len(images) and len(page := await self._page(after)):
                after = int(page.ids[-1])
                for tile in _tiles(images):
                    if later_only and tile.ids[0] >= after:
                        break
                    near = await asyncio.to_thread(
                        sketch.near_pairs, page, tile, self._min_similarity, later_only=later_only
                    )
                    if len(near):
                        yield near

    async def _images(self, ids: Sequence[int]) -> Vectors:
        """Return the vectors of the images that exist; `ids` has at least one."""
        parts = (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))
        return sketch.joined([await self._read("duplicate_vectors", part) for part in parts])

    async def _page(self, after: int) -> Vectors:
        """Return the next page of vectors after an id; empty at the end."""
        return await self._read("duplicate_page", after, _PAGE)

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


def _tiles(vectors: Vectors) -> Iterator[Vectors]:
    return (vectors[start : start + sketch.TILE] for start in range(0, len(vectors), sketch.TILE))
