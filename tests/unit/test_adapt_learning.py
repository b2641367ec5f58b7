"""What is learned from vectors alone, and how honestly it is measured."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from lookalike.adapt import measure
from lookalike.adapt.learning import Projection, learn
from lookalike.adapt.sample import gathered
from lookalike.records import ImageVector
from tests.clusters import clusters

NONE = np.zeros((0, 2), np.int64)
IDENTITY = Projection(np.eye(512, dtype=np.float32), np.zeros(512, np.float32))


def gained(learned: Projection, vectors: np.ndarray, groups: np.ndarray) -> float:
    return measure.gain(vectors, groups, learned, seed=0).difference.value


def test_what_photos_of_a_product_differ_in_is_learned_to_be_ignored() -> None:
    """On products that it has not seen."""
    vectors, groups = clusters(60)
    held_out = measure.held_out(groups, seed=0)
    learned = learn(vectors[~held_out], groups[~held_out], NONE, NONE)
    assert gained(learned, vectors[held_out], groups[held_out]) > 0.1


def test_pairs_teach_the_same_as_products() -> None:
    vectors, groups = clusters(60)
    held_out = measure.held_out(groups, seed=0)
    inside, numbers = vectors[~held_out], groups[~held_out]
    pairs = np.array([(a, a + 1) for a in range(len(inside) - 1) if numbers[a] == numbers[a + 1]])
    learned = learn(inside, np.full(len(inside), -1), pairs, NONE)
    assert gained(learned, vectors[held_out], groups[held_out]) > 0.1


def test_it_learns_the_same_again() -> None:
    vectors, groups = clusters(20)
    one, two = (learn(vectors, groups, NONE, NONE) for _ in range(2))
    np.testing.assert_array_equal(one.matrix, two.matrix)
    np.testing.assert_array_equal(one.centre, two.centre)


@pytest.mark.parametrize(
    ("vectors", "groups"),
    [
        (np.tile(clusters(1)[0][:1], (8, 1)), np.zeros(8, np.int64)),  # one photo, eight times
        (clusters(1)[0], np.zeros(4, np.int64)),  # one product
        (clusters(1)[0][:1], np.array([-1])),  # one image
        (clusters(3)[0], np.arange(12)),  # no product twice
        (clusters(3)[0], np.full(12, -1)),  # no labels: whitening of everything
    ],
)
def test_it_stays_finite_whatever_it_is_given(vectors: np.ndarray, groups: np.ndarray) -> None:
    learned = learn(vectors, groups, NONE, NONE)
    assert learned.matrix.dtype == learned.centre.dtype == np.float32
    assert np.isfinite(learned.matrix).all()
    assert np.linalg.matrix_rank(learned.matrix) == 512
    assert np.isfinite(learned.apply(vectors)).all()


def test_held_out_products_are_apart_from_those_that_are_learned_from() -> None:
    groups = np.array([0, 1, 2, -1] * 9 + [3, 3, 4, 4, 5, 5])
    apart = measure.held_out(groups, seed=1)
    assert not set(groups[apart]) & set(groups[~apart])
    assert len(set(groups[apart])) == 2
    assert -1 not in groups[apart]
    assert set(groups[measure.held_out(groups, seed=1)]) == set(groups[apart])
    assert len({tuple(sorted(set(groups[measure.held_out(groups, seed)]))) for seed in range(9)}) > 1


def test_precision_is_that_of_scikit_learn() -> None:
    vectors, groups = clusters(7, noise=0.8)
    found = measure.precisions(vectors, groups, np.arange(len(vectors)))
    for place, precision in enumerate(found):
        others = np.arange(len(vectors)) != place
        truth = average_precision_score(groups[others] == groups[place], (vectors @ vectors[place])[others])
        assert precision == pytest.approx(truth)


def test_what_changes_nothing_does_not_help() -> None:
    vectors, groups = clusters(30)
    found = measure.gain(vectors, groups, IDENTITY, seed=0)
    assert found.before == found.after
    assert not found.helps


def test_what_might_be_chance_does_not_help() -> None:
    """It does better on some products and worse on others."""
    vectors, groups = clusters(30, noise=0.8)
    matrix = np.eye(512) + 0.05 * np.random.default_rng(1).normal(size=(512, 512))
    found = measure.gain(vectors, groups, Projection(matrix.astype(np.float32), IDENTITY.centre), seed=0)
    assert found.difference.low < 0
    assert not found.helps


def test_a_label_is_the_only_product_of_two_images() -> None:
    products = [("a",), ("a",), ("b",), ("a", "c"), ("c",), (), ("c",), ()]

    async def vectors() -> AsyncIterator[ImageVector]:
        for number, shown in enumerate(products):
            yield ImageVector(str(number), shown, np.full(512, number, "<f2").tobytes())

    found = asyncio.run(gathered(vectors()))
    a, c = found.groups[0], found.groups[4]
    assert found.groups.tolist() == [a, a, -1, -1, c, -1, c, -1]
    assert a != c
    assert found.products == 2
    np.testing.assert_array_equal(found.vectors[:, 0], np.arange(8))
