"""A space's vectors for those who learn from them, block by block, each in a transaction of its own."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from lookalike_searcher.database import halfvec
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.space_reader import SpaceReader

_BLOCK: Final = 512
"""Images that are looked at for one answer: half a megabyte, if all of them are chosen."""
_LISTED_PRODUCTS: Final = 16
_HASHES: Final = 2**31
_HALVES: Final = np.dtype("<f2")


class Place(NamedTuple):
    """Where an export is: the last image that was looked at. The space bears its name and its id."""

    project_id: int
    space: str
    space_id: int
    image_id: int


PLACE_TYPES: Final = (int, str, int, int)
"""Of a place's parts, for those that come from outside."""


@dataclass(frozen=True)
class Asked:
    """What is asked: which project, which space (empty: what writers fill), which share of it, and where to go on."""

    project: str
    space: str
    fraction: float
    after: Place | None


class Exported(NamedTuple):
    """An image, the first of the products that it shows, and its vector: halves, little-endian."""

    sha256: bytes
    products: Sequence[str]
    values: bytes


@dataclass(frozen=True)
class Block:
    """Those of some images that were chosen, and where the block ends."""

    vectors: list[Exported]
    place: Place


async def blocks(database: Database, asked: Asked) -> AsyncGenerator[Block, None]:
    """The vectors, in order of their images.

    Raises:
        NotFound: there is no such project or space.
        InvalidField: the export began in another project, or another space, of the same name.
    """
    project = await registry.get(database, asked.project)
    space = project.in_space(asked.space) if asked.space else project.base(project.serving)
    if asked.after:
        space = project.in_space(asked.after.space)
    place = asked.after or Place(project.id, space.name, space.id, 0)
    if place[:3] != (project.id, space.name, space.id):
        raise InvalidField("resume_token", "must be of this project and space", place)
    source = SpaceReader(database, project.name, project.id, space.name)
    chosen = round((asked.fraction or 1.0) * _HASHES)
    while True:
        async with source.reading() as (connection, project, space):
            sql = statement("vector_export", project.id, space.id)
            rows = await connection.fetch(sql, place.image_id, _BLOCK, chosen, _LISTED_PRODUCTS)
        end = rows[-1]["image_id"]
        if end is None:
            return
        place = place._replace(image_id=end)
        values = halfvec.decode(row["vector"] for row in rows[:-1]).astype(_HALVES)
        found = [
            Exported(row["sha256"], row["products"] or (), one.tobytes())
            for row, one in zip(rows[:-1], values, strict=True)
        ]
        yield Block(found, place)
