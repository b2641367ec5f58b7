"""Make queries for calibrations, like photos from outside, from the images of a space."""

from typing import Final

import numpy as np

from lookalike_searcher.database import halfvec
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.space import Space

_SPREAD: Final = 1.5
"""The mean of an image's nearest is drawn towards it, as they were chosen for being near it: with 1.2, made queries
are as far from images as these are from each other. Photos from outside are farther: other cameras took them, or
somebody has altered them. (With 1,000,000 drawn descriptors, the mean cosine to the nearest is .949 for images, .944
with 1.2, and .923 and .941 for other real photos and for altered copies.)"""


async def make(connection: Connection, project: Project, space: Space, count: int) -> list[bytes]:
    """Return up to so many queries, the same ones as long as the images of the space are the same."""
    rows = await connection.fetch(statement("query_make", project.id, space.id), count)
    if not rows:
        return []
    images, means = (halfvec.decode([row[of] for row in rows], space.dimensions) for of in ("vector", "mean"))
    return halfvec.encode(drawn(images, means))


def drawn(images: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return a vector near each mean, somewhat farther from it than images are from the means of their nearest.

    The difference is drawn from a normal distribution that has the covariance of the images' differences, without its
    own. So it has the directions in which images differ, and leads to none of them. (Points between images, and images
    that are moved, are too easy: a walk gets there by the links that the index has from each image to its nearest.)

    Args:
        images: vectors of images, in rows.
        means: for each, the mean of its nearest.
    """
    shares = np.random.default_rng(0).standard_normal((len(images), len(images)), np.float32)
    np.fill_diagonal(shares, 0)
    made = means + _SPREAD / np.sqrt(len(images)) * (shares @ (images - means))
    normalised: np.ndarray = made / np.linalg.norm(made, axis=1, keepdims=True)
    return normalised
