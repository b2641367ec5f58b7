"""Find neighbours through the index of the space."""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from lookalike_searcher.database import walking
from lookalike_searcher.database.statement import statement
from lookalike_searcher.duplicates.exact import Scan
from lookalike_searcher.duplicates.neighbours import TOLERANCE, Pairs
from lookalike_searcher.projects.space_reader import SpaceReader

AT_ONCE: Final = 500
"""The neighbours of so many images are looked up at a time, which takes a second."""
_DEPTHS: Final = {16: 200, 128: 400, 1000: 1000}
"""How many of the nearest are looked up, and with what `hnsw.ef_search`; if that is not enough, the next row is used.

The calibration for searches is not used: queries come from outside, while the index has links to its own images. Of
planted near duplicates among 100,000 vectors that are nearly random, so that no similar images lead the way, 100 found
98.3 % of the pairs, 200 99.2 %, 400 99.7 %."""
_STATEMENT_ROWS: Final = 50_000
"""One statement may return so many rows at most."""


@dataclass
class _LookedUp:
    """Pairs of near images, the queried one first, and queried ones that the index may not have answered in full."""

    pairs: dict[tuple[int, int], float] = field(default_factory=dict)
    """Each pair has its cosine."""
    crowded: list[int] = field(default_factory=list)
    """All images that it found for these are near, so there may be more."""
    astray: list[int] = field(default_factory=list)
    """It did not find these images themselves."""


class Lookup:
    """The lookup is approximate: pairs that the index misses are missing. Images with too many neighbours are compared.

    Args:
        source: reads the images and the index.
        min_similarity: the least cosine of a near image.
        dimensions: how many dimensions the vectors have.
    """

    def __init__(self, source: SpaceReader, min_similarity: float, dimensions: int) -> None:
        self._source = source
        self._distance = 1 - min_similarity + TOLERANCE
        self._scan = Scan(source, min_similarity, dimensions)

    async def pairs(self, ids: Sequence[int], *, later_only: bool) -> AsyncGenerator[Pairs, None]:
        """Look the images up in the index; see `Neighbours`.

        Earlier images count too: of two images, the index may lead from only one to the other.
        """
        looked_up = await self._look_up(ids)
        if near := [(one, other, cosine) for (one, other), cosine in looked_up.pairs.items() if one != other]:
            yield Pairs.of(near)
        async with aclosing(self._scan.pairs(sorted(looked_up.crowded), later_only=False)) as compared:
            async for pairs in compared:
                yield pairs

    async def _look_up(self, ids: Sequence[int]) -> _LookedUp:
        """Return the neighbours of the images, looked up deeper and deeper."""
        looked_up = _LookedUp(crowded=list(ids))
        for depth, ef_search in _DEPTHS.items():
            remaining = looked_up.crowded + looked_up.astray
            looked_up.crowded, looked_up.astray = [], []
            size = min(AT_ONCE, _STATEMENT_ROWS // depth)
            for start in range(0, len(remaining), size):
                await self._nearest(remaining[start : start + size], depth, ef_search, looked_up)
        return looked_up

    async def _nearest(self, ids: Sequence[int], depth: int, ef_search: int, looked_up: _LookedUp) -> None:
        """Look up the nearest `depth` of each image, and add them to `looked_up`."""
        async with self._source.reading() as (connection, project, space):
            if space.index_time is None:  # the index has been dropped
                looked_up.crowded.extend(ids)
                return
            await connection.execute(walking.settings(ef_search))
            sql = statement("neighbour_nearest", project.id, space.id)
            rows = await connection.fetch(sql, ids, depth, self._distance)
        counts = Counter(asked for asked, _, _, _ in rows)
        looked_up.crowded.extend(image for image in ids if counts[image] == depth)
        looked_up.pairs.update(
            ((asked, near), 1 - distance)
            for asked, near, featureless, distance in rows
            if counts[asked] < depth and not featureless
        )
        looked_up.astray.extend(
            image for image in ids if counts[image] < depth and (image, image) not in looked_up.pairs
        )
