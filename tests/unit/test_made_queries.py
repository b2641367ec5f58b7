"""Queries that calibrations make of images."""

import numpy as np

from lookalike_searcher.indexes import made_queries

COUNT, NEAREST, DIMENSIONS = 200, 10, 64


def unit(vectors: np.ndarray) -> np.ndarray:
    lengths: np.ndarray = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / lengths)


def nearest(queries: np.ndarray, images: np.ndarray, place: int) -> float:
    return float(np.sort(queries @ images.T, axis=1)[:, -place].mean())


def test_made_queries_are_somewhat_farther_from_images_than_these_are_from_each_other_and_near_none() -> None:
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((20, DIMENSIONS))
    images = unit(np.repeat(centres, 100, axis=0) + 0.5 * rng.standard_normal((2000, DIMENSIONS)))
    means = images[np.argsort(-(images @ images.T), axis=1)[:COUNT, 1 : NEAREST + 1]].mean(axis=1)
    made = made_queries.drawn(images[:COUNT], means)
    between_images = 1 - nearest(images[:COUNT], images, 2)
    assert between_images < 1 - nearest(made, images, 1) < 2 * between_images
    assert nearest(made, images, 1) - nearest(made, images, 2) < 0.02
    assert np.allclose(np.linalg.norm(made, axis=1), 1)


def test_copies_of_one_image_make_queries_for_it() -> None:
    images = np.repeat(unit(np.ones((1, DIMENSIONS))), COUNT, axis=0)
    assert np.allclose(made_queries.drawn(images, images), images)
