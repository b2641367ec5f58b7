"""What a search finds."""

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
    """An image, its similarity in [-1, 1], and the first of its references that count.

    `rank` is what the database orders hits by: the distance, but OWN_FILE for the image of the query's own file, which
    comes first. `score` is the similarity, unless hits are re-ranked.
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
    """In a derived space, the cosine in its source."""

    @property
    def similarity(self) -> float:
        """The cosine of the angle to the query."""
        return _cosine(self.distance)

    @property
    def likeness(self) -> float:
        """What says whether it is a near duplicate: the similarity in the space where thresholds were measured."""
        return self.similarity if self.source_similarity is None else self.source_similarity


def hits(rows: Iterable[asyncpg.Record]) -> Iterable[Hit]:
    """One hit per image or product; the rows, one per reference, come hit by hit."""
    for (image_id, product), group in groupby(rows, key=_HIT):
        if image_id is None:  # the row that says that there is no hit
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
    return max(-1.0, min(1.0, 1 - distance))  # rounding may step over the edge
