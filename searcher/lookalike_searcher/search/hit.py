"""Define the hits of a search, and read them from rows."""

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

import asyncpg

from lookalike_searcher.images.image import Reference, reference_of

_HIT: Final = itemgetter("image_id", "group_product")


OWN_FILE: Final = -1.0
"""The rank of the image of the query's own file: before all distances, which are 0 to 2. `search.sql` has it too."""


class Hit(NamedTuple):
    """A hit is an image with its similarity in [-1, 1], and the first of its references that match the filter.

    The database orders hits by `rank`: the distance, or OWN_FILE for the image of the query's own file. That one comes
    first. `score` is the similarity unless hits are re-ranked.
    """

    image_id: int
    distance: float
    rank: float
    product: str
    sha256: bytes
    width: int
    height: int
    references: tuple[Reference, ...]
    reference_count: int
    score: float
    source_similarity: float | None = None
    """The cosine in the source of a derived space; None in other spaces."""

    @property
    def similarity(self) -> float:
        """Return the cosine of the angle to the query."""
        return _cosine(self.distance)

    @property
    def likeness(self) -> float:
        """Return the similarity in the space for which the threshold of near duplicates was measured."""
        return self.similarity if self.source_similarity is None else self.source_similarity


def hits(rows: Iterable[asyncpg.Record]) -> Iterable[Hit]:
    """Yield one hit per image or product. There is a row per reference; rows of a hit follow one another."""
    for (image_id, product), group in groupby(rows, key=_HIT):
        if image_id is None:  # this row only says that there is no hit
            continue
        of_image = list(group)
        first = of_image[0]
        yield Hit(
            image_id=image_id,
            distance=first["distance"],
            rank=first["rank"],
            product=product,
            sha256=first["sha256"],
            width=first["width"],
            height=first["height"],
            references=tuple(reference_of(row) for row in of_image),
            reference_count=first["reference_count"],
            score=_cosine(first["distance"]),
        )


def _cosine(distance: float) -> float:
    return max(-1.0, min(1.0, 1 - distance))  # rounding may exceed 1
