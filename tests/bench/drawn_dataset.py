"""A dataset of a seed, drawn from a model of real descriptors, and queries for it that are not in it."""

from typing import Final

import numpy as np

from tests.bench.dataset import Dataset
from tests.bench.descriptors import Descriptors
from tests.bench.searches import Queries
from tests.bench.synthetic_vectors import Model, Vectors, likeness, normalised

_QUERIES: Final = 300
"""So many are drawn; to these come real ones."""
_HELD_OUT: Final = 10
"""Every tenth real photo is a query."""


def prepared(real: Descriptors, images: int, seed: int, dimensions: int | None = None) -> tuple[Dataset, Queries, str]:
    """What is indexed, what is searched for, and how alike the vectors are beside real ones.

    Args:
        real: what the model is fitted to.
        images: how many are indexed.
        seed: of the drawn vectors, and of the order in which all are inserted.
        dimensions: of all vectors; None for those of the real ones. See `_resized`.
    """
    rng = np.random.default_rng(seed)
    held_out = np.arange(len(real.photos)) % _HELD_OUT == 0
    photos = real.photos[~held_out]
    drawn, near = Model.fit(photos).draw(images + _QUERIES, rng)
    kept = min(images, len(photos))  # the real ones are among them
    drawn[:kept], near[:kept] = photos[:kept], np.arange(kept)
    order = rng.permutation(images)
    asked = np.concatenate([drawn[images:], real.photos[held_out], real.altered])
    indexed, asked = (_resized(vectors, photos, dimensions) for vectors in (drawn[order], asked))
    dataset = Dataset.of(indexed, near[order], real.space, rng)
    sample = drawn[kept:][: len(photos)]
    described = (
        f"{images:,} vectors, of which {kept:,} of real photos and the others drawn from a model of them; mean cosine"
        f" to the nearest / tenth / any, in sets of {len(sample):,}: real {likeness(photos[: len(sample)])}, drawn"
        f" {likeness(sample)}. Queries: {_QUERIES} drawn, {held_out.sum()} of other real photos,"
        f" {len(real.altered)} of altered copies; none of them is indexed. Dimensions: {dataset.dimensions:,}"
    )
    return dataset, Queries(rng.permutation(asked), dataset), described


def _resized(vectors: Vectors, photos: Vectors, dimensions: int | None) -> Vectors:
    """The vectors with other dimensions, at length 1.

    With more, all cosines stay, so that only the width differs: they are turned into a random subspace. With fewer,
    they are projected onto the axes that tell most of the photos.
    """
    if dimensions is None:
        return vectors
    size = vectors.shape[1]
    if dimensions < size:
        _, axes = np.linalg.eigh(photos.T @ photos)  # in rising order
        return normalised(vectors @ axes[:, -dimensions:])
    turned, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((dimensions, size), dtype=np.float32))
    return normalised(vectors @ turned.T)
