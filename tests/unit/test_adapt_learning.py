"""What is learned from vectors alone, and how honestly it is measured."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from lookalike.adapt import contrast, measure
from lookalike.adapt.contrast import PositivePairs
from lookalike.adapt.learning import Projection, learn
from lookalike.adapt.sample import Sample, collect
from lookalike.records import Embedding, Feedback, HitFeedback, ImageVector, Verdict
from tests.lazily import Lazily
from tests.product_vectors import clusters

NONE = np.zeros((0, 2), np.int64)
IDENTITY = Projection(np.eye(512, dtype=np.float32), np.zeros(512, np.float32))


SPACE = "made-up"


async def nothing() -> AsyncIterator[Feedback]:
    for _ in ():
        yield _


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


def test_what_tells_products_apart_is_learned_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where photos of a product differ in all directions alike, whitening has nothing to learn."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(120), 4)
    raw = 2 * random.normal(size=(480, 512)) / 512**0.5
    raw[:, :10] += random.normal(size=(120, 10))[groups] / 10**0.5
    vectors = np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), np.float32)
    held_out = measure.held_out(groups, seed=0)

    def learned() -> float:
        projection = learn(vectors[~held_out], groups[~held_out], NONE, NONE)
        return gained(projection, vectors[held_out], groups[held_out])

    both = learned()
    monkeypatch.setattr(contrast, "move", lambda vectors, _: np.zeros((vectors.shape[1],) * 2, np.float32))
    assert both > learned() + 0.03


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    random = np.random.default_rng(0)
    vectors, moved = random.normal(size=(12, 5)) / 5**0.5, 0.1 * random.normal(size=(5, 5))
    alike = PositivePairs(np.arange(12) // 3, NONE, NONE).positive_mask(np.arange(12))
    found = contrast.gradient(vectors, alike, moved)
    for place in ((0, 0), (1, 3), (4, 2)):
        step = np.zeros((5, 5))
        step[place] = 1e-5
        slope = (contrast.loss(vectors, alike, moved + step) - contrast.loss(vectors, alike, moved - step)) / 2e-5
        assert found[place] == pytest.approx(slope, rel=1e-3)


def test_what_was_said_of_two_images_outweighs_their_products() -> None:
    positives = PositivePairs(np.array([0, 0, 0, -1, -1]), pairs=np.array([(3, 0)]), apart=np.array([(2, 1)]))
    alike = positives.positive_mask(np.arange(5))
    assert set(zip(*np.nonzero(np.triu(alike)), strict=True)) == {(0, 1), (0, 2), (0, 3)}
    assert (alike == alike.T).all()
    assert positives.draw_batch().tolist() == [0, 1, 2, 3]  # nothing is like the last one


def test_many_images_are_taken_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrast, "_BATCH_SIZE", 10)
    positives = PositivePairs(np.arange(60) // 3, NONE, NONE)
    batches = [positives.draw_batch() for _ in range(9)]
    assert {len(rows) for rows in batches} == {10}
    assert len({tuple(rows) for rows in batches}) > 1


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
        truth = Lazily("sklearn.metrics").average_precision_score(
            groups[others] == groups[place], (vectors @ vectors[place])[others]
        )
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


def test_a_label_is_the_only_product_of_two_images_that_show_something() -> None:
    products = [("a",), ("a",), ("b",), ("a", "c"), ("c",), (), ("c",), ("a",)]

    async def vectors() -> AsyncIterator[ImageVector]:
        for number, shown in enumerate(products):
            yield ImageVector(str(number), shown, np.full(512, number, "<f2").tobytes(), featureless=number == 7)

    found = asyncio.run(collect(vectors(), nothing(), SPACE, 512))
    a, c = found.groups[0], found.groups[4]
    assert found.groups.tolist() == [a, a, -1, -1, c, -1, c, -1]
    assert a != c
    assert found.products == 2
    np.testing.assert_array_equal(found.vectors[:, 0], np.arange(8))


def test_labels_stand_for_products_where_there_are_none_and_variants_can_be_told_apart() -> None:
    shown = [
        ImageVector("0", ("a",), b"", False, ("red",), ("hat",)),
        ImageVector("1", ("a",), b"", False, ("red",), ("hat",)),
        ImageVector("2", ("a",), b"", False, ("blue",), ("hat",)),
        ImageVector("3", ("b",), b"", False, (), ("hat",)),
        ImageVector("4", (), b"", False, (), ("hat", "shoe")),
        ImageVector("5", ("a",), b"", False, ("red", "blue"), ("shoe",)),
    ]

    async def vectors() -> AsyncIterator[ImageVector]:
        for image in shown:
            yield replace(image, values=np.zeros(512, "<f2").tobytes())

    def groups(**options: object) -> tuple[list[list[int]], Sample]:
        found = asyncio.run(collect(vectors(), nothing(), SPACE, 512, **options))
        return [
            np.flatnonzero(found.groups == group).tolist() for group in np.unique(found.groups) if group >= 0
        ], found

    alike, sample = groups(copies=[("3", "4"), ("3", "not there")])
    assert (alike, sample.products, sample.labels) == ([[0, 1, 2, 5]], 1, 0)
    assert (sample.pairs.tolist(), sample.copies, sample.judgements) == ([[3, 4]], 1, 0)
    apart, sample = groups(tell_variants_apart=True)
    assert (apart, sample.products, sample.labels) == ([[0, 1], [2, 3]], 1, 1), "hats without such a product"


def said(query: str, hits: dict[str, Verdict | None], embedding: Embedding | None = None) -> Feedback:
    now = datetime.now(UTC)
    judged = tuple(HitFeedback(sha256, 1, verdict, verdict is None, True, now) for sha256, verdict in hits.items())
    return Feedback("id", now, query, False, embedding, judged)


def test_a_project_without_products_is_learned_from_feedback() -> None:
    """Each query, with its right hits, shows something of its own; one with hits of two products shows neither."""

    async def vectors() -> AsyncIterator[ImageVector]:
        for sha256, products in {
            "a": (),
            "b": (),
            "c": (),
            "p1": ("p",),
            "p2": ("p",),
            "q1": ("q",),
            "q2": ("q",),
        }.items():
            yield ImageVector(sha256, products, np.zeros(512, "<f2").tobytes())

    async def feedback() -> AsyncIterator[Feedback]:
        yield said("a", {"b": Verdict.RIGHT, "p1": Verdict.WRONG})
        yield said("c", {"p1": Verdict.RIGHT, "q1": Verdict.RIGHT})

    groups = asyncio.run(collect(vectors(), feedback(), SPACE, 512)).groups.tolist()
    a, b, c, p1, p2, q1, q2 = groups
    assert (a, c, p1, q1) == (b, -1, p2, q2)
    assert len({a, c, p1, q1}) == 4


def test_feedback_says_what_is_alike_and_what_is_not() -> None:
    """Where the query has a vector of the space, and the hit is there; a click says nothing."""

    async def vectors() -> AsyncIterator[ImageVector]:
        for sha256 in "abcd":
            yield ImageVector(sha256, ("p",), np.zeros(512, "<f2").tobytes())

    async def feedback() -> AsyncIterator[Feedback]:
        yield said("a", {"b": Verdict.RIGHT, "c": Verdict.WRONG, "d": None, "a": Verdict.RIGHT, "gone": Verdict.RIGHT})
        yield said("", {"d": Verdict.RIGHT}, Embedding(SPACE, (1.0,) * 512))
        yield said("unknown", {"d": Verdict.RIGHT}, Embedding("another", (1.0,) * 512))
        yield said("unknown", {"d": Verdict.WRONG})

    found = asyncio.run(collect(vectors(), feedback(), SPACE, 512))
    assert found.pairs.tolist() == [[0, 1], [4, 3]]
    assert found.apart.tolist() == [[0, 2]]
    assert len(set(found.groups)) == 1, "the query from outside shows what its right hit shows"
    assert found.vectors[4].tolist() == [1.0] * 512
    part = found.only(np.array([True, False, True, True, True]))
    assert (part.pairs.tolist(), part.apart.tolist()) == ([[3, 2]], [[0, 1]])
