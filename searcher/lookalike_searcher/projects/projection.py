"""Project the vectors of a space into those of a derived space."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np

from lookalike_searcher.database import halfvec
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.errors import InvalidField, Measure
from lookalike_searcher.projects.space import Space

FLOATS: Final = np.dtype("<f4")
"""The type of matrices and centres in the database."""
MAX_NUMBERS: Final = 2048 * 2048
"""A projection's matrix has so many numbers at most: 16 MiB, which is what a message may hold."""
MAX_NEIGHBOURS: Final = 64
_MAX_CACHED_BYTES: Final = 64 * 1024 * 1024
"""So many bytes of projections are kept in memory, or one; those of 512 by 512 numbers have 1 MB each."""
_MIN_LENGTH: Final = 1e-6
"""A shorter projected vector is only rounding, before it is scaled to length 1."""


@dataclass(frozen=True)
class Projection:
    """A projection is y = matrix (x - centre), scaled to length 1.

    Attributes:
        matrix: float32, with a row for each dimension of y, and a column for each of x.
        centre: float32, with a number for each dimension of x.
        neighbours: maintenance draws stored vectors towards so many of their nearest; see `augmentation`.
    """

    matrix: np.ndarray
    centre: np.ndarray
    neighbours: int = 0

    @property
    def dimensions(self) -> int:
        """Return how many dimensions projected vectors have."""
        return len(self.matrix)

    def check_source(self, source: Space) -> None:
        """Check that it projects vectors of this space. Raises InvalidField."""
        if len(self.centre) != source.dimensions:
            rule = f"must be {source.dimensions} numbers, as vectors of space {source.name!r} have"
            raise InvalidField("projection.centre", rule, Measure(f"{len(self.centre)} numbers"))

    async def of(self, halfvecs: Sequence[bytes]) -> list[bytes]:
        """Return the projected vectors, encoded like `halfvecs`, of length 1; 1,000 take some 20 ms of a thread."""
        return await asyncio.to_thread(self.encoded, halfvecs) if halfvecs else []

    def encoded(self, halfvecs: Sequence[bytes]) -> list[bytes]:
        """Return the projected vectors, encoded.

        A vector at the centre has no direction; it gets one with the same distance from each axis.
        """
        scaled = self.matrix / np.abs(self.matrix).max()  # so that no product overflows
        projected = (halfvec.decode(halfvecs, len(self.centre)) - self.centre) @ scaled.T
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
            centre = np.frombuffer(row["centre"], FLOATS)
            matrix = np.frombuffer(row["matrix"], FLOATS).reshape(-1, len(centre))
            self._cache[space_id] = Projection(matrix, centre, row["neighbours"])
        self._cache.move_to_end(space_id)
        while len(self._cache) > 1 and sum(kept.matrix.nbytes for kept in self._cache.values()) > _MAX_CACHED_BYTES:
            self._cache.popitem(last=False)
        return self._cache[space_id]


_OF_DATABASES: Final[WeakKeyDictionary[Database, Projections]] = WeakKeyDictionary()


def projections_of(database: Database) -> Projections:
    """Return the projections that are kept for a database as long as it is used."""
    return _OF_DATABASES.setdefault(database, Projections())
