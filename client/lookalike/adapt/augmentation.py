"""Draw the vectors of images towards their nearest neighbours: database-side augmentation.

It is from Arandjelović, Zisserman: "Three things everyone should know to improve object retrieval" (CVPR 2012).
Neighbours have weights, by how far they are above what is usual around the image. What the photos of one product differ
in is averaged out, without labels, and nothing is left to do at a search.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

_POWER: Final = 0.5
"""Of how far a neighbour is above the background; see `weights`, and docs/quality.md for what else was tried."""
_TINY: Final = 1e-6
_BATCH_SIZE: Final = 512
"""Images that are compared with all others at once: 20 MB with 10,000."""


def weights(cosines: np.ndarray) -> np.ndarray:
    """Return what each neighbour of each image weighs: 1 what is equal to the image, 0 the least similar one.

    Args:
        cosines: to the nearest, float32 of shape (n, k + 1). The last of them is the background, and weighs nothing.
    """
    background = cosines.min(axis=1, keepdims=True).clip(0)
    above = (cosines - background) / (1 - background).clip(_TINY)
    return np.asarray(above.clip(0, 1) ** _POWER, np.float32)


@dataclass(frozen=True)
class Augmented:
    """The augmented images have sums of their own vectors and those of their neighbours.

    Attributes:
        sums: float32 of shape (n, d), not normalised.
        nearest: the places of each image's neighbours, of shape (n, k + 1).
        weights: what each of these was multiplied by, of the same shape.
    """

    sums: np.ndarray
    nearest: np.ndarray
    weights: np.ndarray

    def similarities(self, vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Return the cosines of some of the images, as they are without augmentation, to all augmented ones.

        An image that is searched for is taken out of the sums of all others, as a photo from outside is in none. What
        the others weigh stays the same.

        Args:
            vectors: what was augmented, float32 of shape (n, d).
            queries: the places of the images that are searched for, in rising order.
        """
        products = vectors[queries] @ self.sums.T
        squares = (self.sums**2).sum(axis=1).clip(1e-12)
        found = products / np.sqrt(squares)
        places = np.searchsorted(queries, self.nearest).clip(max=len(queries) - 1)
        of_image, column = np.nonzero(queries[places] == self.nearest)
        query, weight = places[of_image, column], self.weights[of_image, column]
        product = products[query, of_image]
        rest = squares[of_image] - 2 * weight * product + weight**2
        found[query, of_image] = (product - weight) / np.sqrt(rest.clip(1e-12))
        return np.asarray(found)


def augment(vectors: np.ndarray, neighbours: int) -> Augmented:
    """Return the images, augmented by so many neighbours, or by all others if they are fewer.

    Args:
        vectors: of length 1, float32 of shape (n, d).
        neighbours: how many.
    """
    count = min(neighbours + 1, len(vectors) - 1) if neighbours else 0
    nearest, cosines = np.zeros((len(vectors), count), np.int64), np.zeros((len(vectors), count), np.float32)
    for start in range(0, len(vectors) if count else 0, _BATCH_SIZE):
        part = slice(start, start + _BATCH_SIZE)
        near = vectors[part] @ vectors.T
        near[np.arange(len(near)), start + np.arange(len(near))] = -np.inf
        nearest[part] = np.argpartition(-near, count - 1, axis=1)[:, :count]
        cosines[part] = np.take_along_axis(near, nearest[part], axis=1)
    weighted = weights(cosines) if count else cosines
    sums = vectors.copy()
    for place in range(count):
        sums += weighted[:, place, np.newaxis] * vectors[nearest[:, place]]
    return Augmented(sums, nearest, weighted)
