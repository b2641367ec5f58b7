"""Draw the vectors of a derived space towards their nearest neighbours; see `lookalike.adapt.augmentation`.

A space is filled with projected vectors, and writers add projected ones. Afterwards, images are taken in the order in
which they came. Their neighbours are looked up in the source, of which nothing is drawn, so the order does not matter.
Each transaction notes the progress, so that another searcher can go on after a kill. An image that came later draws
none of the earlier ones, until the space is learned again. One that is deleted has drawn its neighbours for good.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from lookalike.adapt.augmentation import weights
from lookalike_searcher.database import halfvec, walking
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import MAX_ID, statement
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.projection import Projection, projections_of
from lookalike_searcher.projects.space_reader import SpaceReader

AT_ONCE: Final = 100
"""So many images are looked up by one statement, and written in one transaction: some tenths of a second."""
_MORE_CANDIDATES: Final = 32
"""In the source, so many more are looked up than are needed: the projection puts them in another order."""
_EF_SEARCH: Final = 200


@dataclass(frozen=True)
class _Page:
    """Vectors by their images, the last image that was read, and, if these were all, when the project had changed."""

    vectors: dict[int, bytes]
    up_to: int
    all_until: datetime | None


async def augment(database: Database, project_name: str, space: str, exact_threshold: int) -> bool:
    """Draw all vectors that are left. Returns whether there is nothing more to do.

    There is if the source should have its index first. Raises NotFound if the project or the space is deleted.
    """
    project = await registry.get(database, project_name)
    target = project.in_space(space)
    if project.base(target).index_time is None and project.image_count >= exact_threshold:
        return False
    reader = SpaceReader(database, project_name, project.id, space, target.id)
    while not await step(reader):
        pass
    return True


async def step(reader: SpaceReader, size: int = AT_ONCE) -> bool:
    """Draw the next vectors, at most `size`. Returns whether these were the last ones. Raises NotFound."""
    page = await _read(reader, size)
    async with registry.writing(reader.database, reader.project_name) as (connection, project):
        space = reader.space_of(project)
        await connection.executemany(statement("vector_replace", project.id, space.id), list(page.vectors.items()))
        done = (space.id, page.up_to, page.all_until, len(page.vectors))
        await connection.execute(statement("augmentation_done"), *done)
    return page.all_until is not None


async def _read(reader: SpaceReader, size: int) -> _Page:
    async with reader.reading() as (connection, project, space):
        source = project.base(space)
        projection = await projections_of(reader.database).of(connection, space.id)
        after = await connection.fetchval(statement("augmentation_place"), space.id)
        rows = await connection.fetch(statement("neighbour_page", project.id, source.id), after, MAX_ID, size)
        ids = [row["image_id"] for row in rows]
        if source.index_time:
            await connection.execute(walking.settings(_EF_SEARCH))
        depth = 2 + projection.neighbours + _MORE_CANDIDATES
        pairs = await connection.fetch(statement("augmentation_nearest", project.id, source.id), ids, depth)
        wanted = sorted({*ids, *(row["image_id"] for row in pairs)})
        found = await connection.fetch(statement("neighbour_vectors", project.id, source.id), wanted)
    stored = {row["image_id"]: row["vector"] for row in found}
    drawn = await asyncio.to_thread(_drawn, projection, stored, [(one, other) for one, other in pairs])
    return _Page(drawn, ids[-1] if ids else after, project.update_time if len(ids) < size else None)


def _drawn(projection: Projection, stored: dict[int, bytes], pairs: Sequence[tuple[int, int]]) -> dict[int, bytes]:
    """Return the drawn vectors of the images that have neighbours.

    Args:
        projection: the projection of the space, with the number of neighbours.
        stored: vectors of the source, by their images.
        pairs: images, each with one that is near in the source.
    """
    if not pairs:
        return {}
    places = {image_id: place for place, image_id in enumerate(stored)}
    projected = halfvec.decode(projection.encoded(list(stored.values())), projection.dimensions)
    candidates: dict[int, list[int]] = {}
    for image_id, near in pairs:
        candidates.setdefault(image_id, []).append(places[near])
    sums = []
    for image_id, near_places in candidates.items():
        own, near_vectors = projected[places[image_id]], projected[near_places]
        cosines = near_vectors @ own
        nearest = np.argsort(-cosines, kind="stable")[: projection.neighbours + 1]
        sums.append(own + weights(cosines[np.newaxis, nearest])[0] @ near_vectors[nearest])
    drawn = np.array(sums, np.float32)
    return dict(zip(candidates, halfvec.encode(drawn / np.linalg.norm(drawn, axis=1, keepdims=True)), strict=True))
