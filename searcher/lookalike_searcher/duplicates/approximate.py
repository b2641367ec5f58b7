"""Neighbours through the index of the space."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from lookalike_searcher.database.statement import statement
from lookalike_searcher.duplicates.exact import Scan
from lookalike_searcher.duplicates.neighbours import TOLERANCE
from lookalike_searcher.indexes.index import ef_settings
from lookalike_searcher.projects.space_reader import SpaceReader

AT_ONCE: Final = 500
"""Images whose neighbours are looked up at a time: a second's work."""
_DEPTHS: Final = {16: 200, 128: 400, 1000: 1000}
"""How many of the nearest to look at, and with what `hnsw.ef_search`: more, where that was not enough.

Not what was measured for searches: those come from outside, while to images themselves the index has links. Of planted
near duplicates among 100,000 vectors as good as random, so that no image has others like it to lead the way, 100 found
98.3 % of the pairs, 200 99.2 %, 400 99.7 %."""
_STATEMENT_ROWS: Final = 50_000
"""What one statement may return at most."""


@dataclass
class _Found:
    """Pairs of near images, the asked one first; and the asked ones of which the index may not have said all."""

    pairs: set[tuple[int, int]] = field(default_factory=set)
    crowded: list[int] = field(default_factory=list)
    """All that it found are near."""
    astray: list[int] = field(default_factory=list)
    """It did not find the image itself."""


class Lookup:
    """Approximate: what the index does not find is missing. Images with more neighbours than it can tell are compared.

    Args:
        source: where the images are.
        min_similarity: the least cosine of a near image.
    """

    def __init__(self, source: SpaceReader, min_similarity: float) -> None:
        self._source = source
        self._distance = 1 - min_similarity + TOLERANCE
        self._scan = Scan(source, min_similarity)

    async def later(self, ids: Iterable[int], skip: Collection[int]) -> dict[int, int]:
        """See Neighbours."""
        looked_up = await self._look_up(sorted(ids))
        found = await self._scan.later(looked_up.crowded, skip)
        for asked, near in looked_up.pairs:
            if near > asked and near not in skip:
                found[near] = min(asked, found.get(near, asked))
        return found

    async def earlier(self, ids: Iterable[int], up_to: int) -> dict[int, int]:
        """See Neighbours."""
        looked_up = await self._look_up(sorted(ids))
        found = await self._scan.earlier(looked_up.crowded, up_to)
        for asked, near in looked_up.pairs:
            if near < asked and near <= up_to:
                found[asked] = min(near, found.get(asked, near))
        return found

    async def _look_up(self, ids: Sequence[int]) -> _Found:
        """The neighbours of the images."""
        found = _Found(crowded=list(ids))
        for depth, ef_search in _DEPTHS.items():
            asked = found.crowded + found.astray
            found.crowded, found.astray = [], []
            size = min(AT_ONCE, _STATEMENT_ROWS // depth)
            for start in range(0, len(asked), size):
                await self._nearest(asked[start : start + size], depth, ef_search, found)
        return found

    async def _nearest(self, ids: Sequence[int], depth: int, ef_search: int, found: _Found) -> None:
        """Look at the nearest `depth` of each."""
        async with self._source.reading() as (connection, project, space):
            if space.index_time is None:  # it has been dropped
                found.crowded.extend(ids)
                return
            await connection.execute(ef_settings(ef_search))
            sql = statement("neighbour_nearest", project.id, space.id)
            rows = await connection.fetch(sql, ids, depth, self._distance)
        counts = Counter(asked for asked, _ in rows)
        found.crowded.extend(image for image in ids if counts[image] == depth)
        found.pairs.update((asked, near) for asked, near in rows if counts[asked] < depth)
        found.astray.extend(image for image in ids if counts[image] < depth and (image, image) not in found.pairs)
