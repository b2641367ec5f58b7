"""An embedding space of a project: its row in the registry, and how deep its index must look."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

MAX_EF_SEARCH: Final = 1000
"""pgvector's most."""


@dataclass(frozen=True)
class Space:
    """A space, and its index if `index_time` is set."""

    id: int
    name: str
    complete: bool
    create_time: datetime
    index_time: datetime | None
    ef_search_10: int
    ef_search_100: int
    recall_target: float
    recall: float
    recall_count: int
    source_id: int | None = None
    """The id of the space that it is derived from, if it is."""

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Space":
        """The space of a row of `project_read`."""
        return cls(
            id=row["space_id"],
            name=row["space_name"],
            complete=row["space_complete"],
            create_time=row["space_create_time"],
            index_time=row["index_time"],
            ef_search_10=row["ef_search_10"],
            ef_search_100=row["ef_search_100"],
            recall_target=row["recall_target"],
            recall=row["recall"],
            recall_count=row["recall_count"],
            source_id=row["source_id"],
        )

    def ef_search(self, depth: int) -> int | None:
        """The `hnsw.ef_search` with which the nearest `depth` images are found at the recall target.

        On a line through what was measured for 10 and 100 hits, and never below `depth`, as that many must fit. None
        where pgvector's most would not do, or where there is no index: then the ranking must be exact.
        """
        if self.index_time is None:
            return None
        slope = max(1.0, (self.ef_search_100 - self.ef_search_10) / 90)
        needed = max(depth, math.ceil(self.ef_search_10 + slope * max(0, depth - 10)))
        return needed if needed <= MAX_EF_SEARCH else None
