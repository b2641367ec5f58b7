"""Ranking a project's images."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import asyncpg

from lookalike_searcher import project as registry
from lookalike_searcher.database import Database
from lookalike_searcher.errors import FailedPrecondition, NotFound
from lookalike_searcher.image import Embedding, Reference
from lookalike_searcher.project import Project
from lookalike_searcher.statement import Connection, statement

LISTED_REFERENCES: Final = 100
"""The most references that a hit lists; it says how many there are."""

NEAR_DUPLICATE: Final = 0.95
"""The least similarity of a near duplicate.

Measured with vgg16-rmac512 on 180 photos of clothing and groceries: recompression (quality 30) and halving the size
leave 99 % of the copies at or above it, a 5 % crop or a mirror image 76 to 94 %, a 10 % crop or a 6 % border less than
10 %; of 713 clothing photos the nearest other photo reaches .928, while groceries shot one after another reach .996.
"""


@dataclass(frozen=True)
class Query:
    """What to rank by: a vector, or the vector of the project's image with this hash."""

    embedding: Embedding | None
    sha256: bytes | None


@dataclass(frozen=True)
class Hit:
    """An image, its similarity in [-1, 1], and the first of its references."""

    similarity: float
    sha256: bytes
    width: int
    height: int
    references: tuple[Reference, ...]
    reference_count: int


@dataclass(frozen=True)
class Ranking:
    """Hits, most similar first, and over how many images they were ranked."""

    hits: list[Hit]
    images_ranked: int


async def rank(database: Database, project: str, query: Query, limit: int) -> Ranking:
    """The `limit` images most similar to the query, by comparing it with every image.

    Raises:
        NotFound: there is no such project, or no such image in it.
        FailedPrecondition: the query's vector is of another space.
    """
    async with database.reading() as connection, registry.found(connection, project) as found:
        vector = await _vector(connection, found, query)
        rows = await connection.fetch(statement("search_exact", found.id), vector, limit, LISTED_REFERENCES)
        return Ranking(list(_hits(rows)), found.image_count)


async def _vector(connection: Connection, project: Project, query: Query) -> object:
    if query.embedding:
        if query.embedding.space != project.space:
            raise FailedPrecondition.wrong_space(project.name, project.space, query.embedding.space)
        return query.embedding.vector
    sha256 = query.sha256 or b""
    vector = await connection.fetchval(statement("image_vector", project.id), sha256)
    if vector is None:
        raise NotFound.image(project.name, sha256)
    return vector


def _hits(rows: Iterable[asyncpg.Record]) -> Iterable[Hit]:
    """One hit per image; the rows, one per reference, come image by image."""
    for sha256, group in groupby(rows, key=lambda row: row["sha256"]):
        of_image = list(group)
        first = of_image[0]
        yield Hit(
            similarity=max(-1.0, min(1.0, first["similarity"])),  # rounding may step over the edge
            sha256=sha256,
            width=first["width"],
            height=first["height"],
            references=tuple(_reference(row) for row in of_image),
            reference_count=first["reference_count"],
        )


def _reference(row: asyncpg.Record) -> Reference:
    return Reference(row["uri"], row["product"], row["variant"], row["staged"], json.loads(row["labels"]))
