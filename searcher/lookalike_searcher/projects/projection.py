"""Project the vectors of a space into those of a derived space."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np

from lookalike_searcher.database import halfvec
from lookalike_searcher.database.halfvec import DIMENSIONS
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement

FLOATS: Final = np.dtype("<f4")
"""The type of matrices and centres in the database."""
_MAX_CACHED: Final = 64
"""So many projections are kept in memory, of 1 MB each."""
_MIN_LENGTH: Final = 1e-6
"""A shorter projected vector is only rounding, before it is scaled to length 1."""


@dataclass(frozen=True)
class Projection:
    """A projection is y = matrix (x - centre), scaled to length 1: float32 of shapes (512, 512) and (512,)."""

    matrix: np.ndarray
    centre: np.ndarray

    async def of(self, halfvecs: Sequence[bytes]) -> list[bytes]:
        """Return the projected vectors, encoded like `halfvecs`, of length 1; 1,000 take some 20 ms of a thread."""
        return await asyncio.to_thread(self._of, halfvecs) if halfvecs else []

    def _of(self, halfvecs: Sequence[bytes]) -> list[bytes]:
        """Return the projected vectors, encoded.

        A vector at the centre has no direction; it gets one with the same distance from each axis.
        """
        scaled = self.matrix / np.abs(self.matrix).max()  # so that no product overflows
        projected = (halfvec.decode(halfvecs) - self.centre) @ scaled.T
        projected[np.linalg.norm(projected, axis=1) < _MIN_LENGTH] = 1.0
        return halfvec.encode(projected / np.linalg.norm(projected, axis=1, keepdims=True))


class Projections:
    """The last used projections are kept in memory. A space's projection never changes, and its id is not reused."""

    def __init__(self) -> None:
        self._cache: OrderedDict[int, Projection] = OrderedDict()

    async def of(self, connection: Connection, space_id: int) -> Projection:
        """Return the projection of a derived space, from memory, or read in the caller's transaction."""
        if space_id not in self._cache:
            row = await connection.fetchrow(statement("projection_get"), space_id)
            if row is None:
                raise LookupError(f"space {space_id} is not derived")
            matrix = np.frombuffer(row["matrix"], FLOATS).reshape(DIMENSIONS, DIMENSIONS)
            self._cache[space_id] = Projection(matrix, np.frombuffer(row["centre"], FLOATS))
        self._cache.move_to_end(space_id)
        while len(self._cache) > _MAX_CACHED:
            self._cache.popitem(last=False)
        return self._cache[space_id]


_OF_DATABASES: Final[WeakKeyDictionary[Database, Projections]] = WeakKeyDictionary()


def projections_of(database: Database) -> Projections:
    """Return the projections that are kept for a database as long as it is used."""
    return _OF_DATABASES.setdefault(database, Projections())
