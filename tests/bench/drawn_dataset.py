"""A dataset of a seed, drawn from a model of real descriptors, and queries for it that are not in it."""

from typing import Final

import numpy as np

from tests.bench.dataset import Dataset
from tests.bench.descriptors import Descriptors
from tests.bench.searches import Queries
from tests.bench.synthetic_vectors import Model, likeness

_QUERIES: Final = 300
"""So many are drawn; to these come real ones."""
_HELD_OUT: Final = 10
"""Every tenth real photo is a query."""


def prepared(real: Descriptors, images: int, seed: int) -> tuple[Dataset, Queries, str]:
    """What is indexed, what is searched for, and how alike the vectors are beside real ones.

    Args:
        real: what the model is fitted to.
        images: how many are indexed.
        seed: of the drawn vectors, and of the order in which all are inserted.
    """
    rng = np.random.default_rng(seed)
    held_out = np.arange(len(real.photos)) % _HELD_OUT == 0
    photos = real.photos[~held_out]
    drawn, near = Model.fit(photos).draw(images + _QUERIES, rng)
    kept = min(images, len(photos))  # the real ones are among them
    drawn[:kept], near[:kept] = photos[:kept], np.arange(kept)
    order = rng.permutation(images)
    dataset = Dataset.of(drawn[order], near[order], real.space, rng)
    asked = np.concatenate([drawn[images:], real.photos[held_out], real.altered])
    sample = drawn[kept:][: len(photos)]
    described = (
        f"{images:,} vectors, of which {kept:,} of real photos and the others drawn from a model of them; mean cosine"
        f" to the nearest / tenth / any, in sets of {len(sample):,}: real {likeness(photos[: len(sample)])}, drawn"
        f" {likeness(sample)}. Queries: {_QUERIES} drawn, {held_out.sum()} of other real photos,"
        f" {len(real.altered)} of altered copies; none of them is indexed"
    )
    return dataset, Queries(rng.permutation(asked), dataset), described
