"""Define an embedding space of a project, as in the registry, and how deep its index must be walked."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from lookalike.records import Learning
from lookalike_searcher.database import halfvec
from lookalike_searcher.errors import InvalidField, Measure
from lookalike_searcher.projects import learning

MAX_EF_SEARCH: Final = 1000
"""The maximum of hnsw.ef_search in pgvector."""


@dataclass(frozen=True)
class Space:
    """The space is a row of the registry. It has an index if `index_time` is set."""

    id: int
    name: str
    dimensions: int
    complete: bool
    create_time: datetime
    index_time: datetime | None
    ef_search_10: int
    ef_search_100: int
    recall_target: float
    recall: float
    recall_count: int
    source_id: int | None = None
    """The id of the space that this one is derived from, if any."""
    learning: Learning | None = None
    """What it was learned from, if it is derived, and somebody said so."""
    neighbours: int = 0
    """Its vectors are drawn towards so many of their nearest, if it is derived."""
    augmented: bool = False
    """Whether this was done with all vectors that it was filled with."""

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Space":
        """Return the space of a row of the statement `project_read`."""
        return cls(
            id=row["space_id"],
            name=row["space_name"],
            dimensions=row["dimensions"],
            complete=row["space_complete"],
            create_time=row["space_create_time"],
            index_time=row["index_time"],
            ef_search_10=row["ef_search_10"],
            ef_search_100=row["ef_search_100"],
            recall_target=row["recall_target"],
            recall=row["recall"],
            recall_count=row["recall_count"],
            source_id=row["source_id"],
            learning=learning.of_json(row["learning"]),
            neighbours=row["neighbours"] or 0,
            augmented=row["augmented"],
        )

    def misfit(self, size: int) -> InvalidField | None:
        """Return what is wrong with an encoded vector of so many bytes, or None if it has the space's dimensions."""
        if size == halfvec.size_of(self.dimensions):
            return None
        found = Measure(f"{halfvec.dimensions_of(size)} numbers")
        return InvalidField("embedding.values", f"must be {self.dimensions} numbers in space {self.name!r}", found)

    def exact_is_as_fast(self, depth: int) -> bool:
        """Return whether, by the calibration, an exact ranking of `depth` images takes no longer than the index."""
        return self.ef_search_10 > MAX_EF_SEARCH or (
            self.ef_search_100 > MAX_EF_SEARCH and self._interpolated(depth) > MAX_EF_SEARCH
        )

    def ef_search(self, depth: int) -> int | None:
        """Return the `hnsw.ef_search` with which the nearest `depth` images are found at the recall target.

        It is interpolated between the calibrations for 10 and 100 hits, at least `depth`, as so many must fit, and at
        most pgvector's maximum. It is None if `depth` exceeds that, if there is no index, or if an exact ranking is as
        fast: then the ranking must be exact.
        """
        if self.index_time is None or depth > MAX_EF_SEARCH or self.exact_is_as_fast(depth):
            return None
        return min(self._interpolated(depth), MAX_EF_SEARCH)

    def _interpolated(self, depth: int) -> int:
        slope = max(1.0, (self.ef_search_100 - self.ef_search_10) / 90)
        return max(depth, math.ceil(self.ef_search_10 + slope * max(0, depth - 10)))
