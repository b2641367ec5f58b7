"""Neighbours through the index of the space."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from lookalike_searcher.index import ef_settings
from lookalike_searcher.neighbours import TOLERANCE, Source
from lookalike_searcher.scan import Scan
from lookalike_searcher.statement import statement

AT_ONCE: Final = 500
"""Images whose neighbours are looked up at a time: a second's work."""
DEPTHS: Final = (16, 128, 1000)
"""How many of the nearest to look at: more, where those before were not enough."""
_STATEMENT_ROWS: Final = 50_000
"""What one statement may return at most."""


@dataclass
class _Found:
    """Pairs of near images, the asked one first, and the asked ones of which the index did not say enough."""

    pairs: list[tuple[int, int]] = field(default_factory=list)
    unsettled: list[int] = field(default_factory=list)


class Lookup:
    """Approximate: what the index does not find is missing.

    It is asked for more where all that it found are near, or the image itself was not among them: then the walk through
    the index went astray. Where the most is not enough, all are compared.

    Args:
        source: where the images are.
        min_similarity: the least cosine of a near image.
    """

    def __init__(self, source: Source, min_similarity: float) -> None:
        self._source = source
        self._distance = 1 - min_similarity + TOLERANCE
        self._scan = Scan(source, min_similarity)

    async def later(self, ids: Iterable[int], skip: Collection[int]) -> dict[int, int]:
        """See Neighbours."""
        looked_up = await self._look_up(sorted(ids))
        found = await self._scan.later(looked_up.unsettled, skip)
        for asked, near in looked_up.pairs:
            if near > asked and near not in skip:
                found[near] = min(asked, found.get(near, asked))
        return found

    async def earlier(self, ids: Iterable[int], up_to: int) -> dict[int, int]:
        """See Neighbours."""
        looked_up = await self._look_up(sorted(ids))
        found = await self._scan.earlier(looked_up.unsettled, up_to)
        for asked, near in looked_up.pairs:
            if near < asked and near <= up_to:
                found[asked] = min(near, found.get(asked, near))
        return found

    async def _look_up(self, ids: Sequence[int]) -> _Found:
        """All neighbours of the images."""
        found = _Found(unsettled=list(ids))
        for depth in DEPTHS:
            asked, found.unsettled = found.unsettled, []
            size = min(AT_ONCE, _STATEMENT_ROWS // depth)
            for start in range(0, len(asked), size):
                await self._nearest(asked[start : start + size], depth, found)
        return found

    async def _nearest(self, ids: Sequence[int], depth: int, found: _Found) -> None:
        """Look at the nearest `depth` of each."""
        async with self._source.reading() as (connection, project, space):
            ef_search = space.ef_search(depth)
            if ef_search is None:  # the index does not reach so deep, or has been dropped
                found.unsettled.extend(ids)
                return
            await connection.execute(ef_settings(ef_search))
            rows = await connection.fetch(
                statement("neighbour_nearest", project.id, space.id), ids, depth, self._distance
            )
        of_each: dict[int, list[int]] = {image: [] for image in ids}
        for asked, near in rows:
            of_each[asked].append(near)
        for asked, nearest in of_each.items():
            if len(nearest) < depth and asked in nearest:
                found.pairs.extend((asked, near) for near in nearest)
            else:
                found.unsettled.append(asked)
