"""Export a space's vectors block by block, each in a transaction of its own, for clients that learn from them."""

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

_BLOCK_BYTES: Final = 512 * 1024
"""Images with so many bytes of vectors are read for one answer; it has them all if all are chosen."""
_LISTED: Final = 16
"""So many products, variants and values of a label are given of an image at most."""
_HASHES: Final = 2**31
_HALVES: Final = np.dtype("<f2")


class Place(NamedTuple):
    """The place is where an export stands: the last image that was read. It has the name and the id of the space."""

    project_id: int
    space: str
    space_id: int
    image_id: int


PLACE_TYPES: Final = (int, str, int, int)
"""The types of a place's fields, to check a place that comes from a client."""


@dataclass(frozen=True)
class ExportQuery:
    """The query has a project, a space (empty: the one that writers fill), a share of its images, a start, a label."""

    project_name: str
    space: str
    fraction: float
    after: Place | None
    label: str = ""


class Exported(NamedTuple):
    """The exported image has its id and hash, what it shows, and its vector as little-endian halves."""

    image_id: int
    sha256: bytes
    products: Sequence[str]
    values: bytes
    featureless: bool
    variants: Sequence[str]
    label_values: Sequence[str]


@dataclass(frozen=True)
class Block:
    """A block has the exported ones of some images, and the place where it ends."""

    vectors: list[Exported]
    place: Place


async def blocks(database: Database, query: ExportQuery) -> AsyncGenerator[Block, None]:
    """Yield the exported vectors, in order of their images.

    Raises:
        NotFound: there is no such project or space.
        InvalidField: the export began in another project, or another space, of the same name.
    """
    project = await registry.get(database, query.project_name)
    space = project.in_space(query.space) if query.space else project.base(project.serving)
    if query.after:
        space = project.in_space(query.after.space)
    place = query.after or Place(project.id, space.name, space.id, 0)
    if place[:3] != (project.id, space.name, space.id):
        raise InvalidField("resume_token", "must be of this project and space", place)
    source = SpaceReader(database, project.name, project.id, space.name, space.id)
    chosen = round((query.fraction or 1.0) * _HASHES)
    while True:
        async with source.reading() as (connection, project, space):
            sql = statement("vector_export", project.id, space.id)
            size = max(1, _BLOCK_BYTES // (space.dimensions * _HALVES.itemsize))
            rows = await connection.fetch(sql, place.image_id, size, chosen, _LISTED, query.label)
        end = rows[-1]["image_id"]
        if end is None:
            return
        place = place._replace(image_id=end)
        values = halfvec.decode((row["vector"] for row in rows[:-1]), space.dimensions).astype(_HALVES)
        exported = [
            Exported(
                row["image_id"],
                row["sha256"],
                row["products"] or (),
                vector.tobytes(),
                row["featureless"],
                row["variants"] or (),
                row["label_values"] or (),
            )
            for row, vector in zip(rows[:-1], values, strict=True)
        ]
        yield Block(exported, place)
