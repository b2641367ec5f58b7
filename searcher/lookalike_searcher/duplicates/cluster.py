"""Read clusters from the database, once the ids of their images are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.duplicates import sketch
from lookalike_searcher.images import reading
from lookalike_searcher.images.image import Image
from lookalike_searcher.projects.space import Space
from lookalike_searcher.projects.space_reader import SpaceReader

LISTED_IMAGES: Final = 1_000
"""A cluster lists so many images at most, and says how many it has."""
_PAGE: Final = 1_000
"""So many vectors are read at a time."""


@dataclass(frozen=True)
class Member:
    """A member is an image of a cluster, with its cosine to the cluster's first image."""

    image: Image
    similarity: float


@dataclass(frozen=True)
class Cluster:
    """A cluster has its first image first, then the most similar ones. It counts all its images."""

    members: list[Member]
    image_count: int


async def read(source: SpaceReader, clusters: Sequence[Sequence[int]]) -> list[Cluster | None]:
    """Return the clusters with these images, each in order of id; None for a cluster that has too few images left.

    Raises:
        NotFound: the project or the space has been deleted.
    """
    async with source.reading() as (connection, project, space):
        cosines = await _cosines(connection, project.id, space, clusters)
        listed = [image for ids in clusters for image in _listed(ids, cosines)]
        images = {image.id: image for image in await reading.of_ids(connection, project, listed)}
    return [_cluster(ids, cosines, images) for ids in clusters]


async def _cosines(
    connection: Connection, project_id: int, space: Space, clusters: Sequence[Sequence[int]]
) -> dict[int, float]:
    """Return the cosine of each image to the first image of its cluster, if both still exist."""
    cosines = {ids[0]: 1.0 for ids in clusters if len(ids) == 1}  # an image alone may have no vector
    compared = [ids for ids in clusters if len(ids) > 1]
    firsts = await _vectors(connection, project_id, space, [ids[0] for ids in compared])
    pairs = [(image, ids[0]) for ids in compared for image in ids]
    for start in range(0, len(pairs), _PAGE):
        page = pairs[start : start + _PAGE]
        vectors = await _vectors(connection, project_id, space, [image for image, _ in page])
        for image, first in page:
            if image in vectors and first in firsts:
                cosine = 1.0 if image == first else float(vectors[image] @ firsts[first])
                cosines[image] = max(-1.0, min(1.0, cosine))  # rounding may exceed 1
    return cosines


async def _vectors(
    connection: Connection, project_id: int, space: Space, ids: Sequence[int]
) -> Mapping[int, np.ndarray]:
    """Return vectors of length 1 by the ids of their images."""
    rows = await connection.fetch(statement("neighbour_vectors", project_id, space.id), ids)
    decoded = sketch.decoded([row["vector"] for row in rows], space.dimensions)
    return dict(zip((row["image_id"] for row in rows), decoded, strict=True))


def _listed(ids: Sequence[int], cosines: Mapping[int, float]) -> list[int]:
    """Return the images that the cluster lists: the first, then the most similar ones. None without the first."""
    present = (image for image in ids if image in cosines)
    return sorted(present, key=lambda image: (image != ids[0], -cosines[image]))[:LISTED_IMAGES]


def _cluster(ids: Sequence[int], cosines: Mapping[int, float], images: Mapping[int, Image]) -> Cluster | None:
    """Return the cluster; None if it lost its first image or all others, or, with one image, its second reference."""
    members = [Member(images[image], cosines[image]) for image in _listed(ids, cosines) if image in images]
    if not members or members[0].image.id != ids[0]:
        return None
    if len(members) == 1 and (len(ids) > 1 or members[0].image.reference_count == 1):
        return None
    return Cluster(members, sum(image in cosines for image in ids))
