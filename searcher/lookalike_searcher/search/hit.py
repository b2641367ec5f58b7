"""Define the hits of a search, and read them from rows."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import asyncpg

from lookalike_searcher.images.image import Reference, labels_of

OWN_FILE: Final = -1.0
"""The rank of the image of the query's own file: before all distances, which are 0 to 2. `search.sql` has it too."""
_COUNTED: Final = 3
"""The first columns of a row say how many were looked at."""
_OF_REFERENCE: Final = 10
"""The columns from here on are a reference's, how many the image has, and whether it is featureless."""


class Hit(NamedTuple):
    """A hit is an image with its similarity in [-1, 1], and the first of its references that match the filter.

    The database orders hits by `rank`: the distance, or OWN_FILE for the image of the query's own file. That one comes
    first. `similarity` is the cosine of the angle to the query, and `score` the same unless hits are re-ranked.
    """

    image_id: int
    distance: float
    rank: float
    product: str
    sha256: bytes
    width: int
    height: int
    references: Sequence[Reference]
    reference_count: int
    similarity: float
    score: float
    featureless: bool
    source_similarity: float | None = None
    """The cosine in the source of a derived space; None in other spaces."""

    @property
    def likeness(self) -> float:
        """Return the similarity in the space for which the threshold of near duplicates was measured."""
        return self.similarity if self.source_similarity is None else self.source_similarity


class Near(NamedTuple):
    """It is an image in the order of similarity, and has its vector: all that re-ranking needs of a hit."""

    image_id: int
    distance: float
    rank: float
    product: str
    vector: bytes


def near(rows: Iterable[asyncpg.Record]) -> list[Near]:
    """Return what `search.sql` gives where hits are re-ranked: one row for each."""
    found = (Near(*row[_COUNTED:]) for row in rows)
    return [one for one in found if one.image_id is not None]  # one row may only say that there is no hit


def similarity(distance: float) -> float:
    """Return the cosine of a distance, in [-1, 1], as pgvector keeps distances in [0, 2]."""
    return 1 - distance


def hits(rows: Iterable[asyncpg.Record]) -> list[Hit]:
    """Return one hit per image or product. `search.sql` gives a row per reference; rows of a hit follow one another."""
    found: list[Hit] = []
    references: list[Reference] = []
    last: tuple[int, str] | None = None
    for row in rows:
        image_id, distance, rank, product, sha256, width, height = row[_COUNTED:_OF_REFERENCE]
        if image_id is None:  # this row only says that there is no hit
            continue
        uri, of_product, variant, staged, labels, count, featureless = row[_OF_REFERENCE:]
        if (image_id, product) != last:
            last, references = (image_id, product), []
            cosine = similarity(distance)
            own = (image_id, distance, rank, product, sha256, width, height, references, count)
            found.append(Hit(*own, cosine, cosine, featureless))
        references.append(Reference(uri, of_product, variant, staged, labels_of(labels)))
    return found
