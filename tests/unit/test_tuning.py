"""What a project that tunes itself decides: what to project by, whether searches became worse, and when to wait."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lookalike.adapt.augmentation import augment
from lookalike.adapt.choose import Choice, choose
from lookalike.adapt.learning import Projection, mean_taken_out
from lookalike.adapt.measure import bootstrapped
from lookalike.adapt.sample import NO_PAIRS, Sample
from lookalike_searcher.tuning import learning_process
from lookalike_searcher.tuning.live_quality import LiveQuality
from lookalike_searcher.tuning.load import Load
from tests.product_vectors import clusters


def shop(products: int, *, noise: float = 1.0) -> Sample:
    """Products in few of the dimensions, so that it is quick."""
    vectors, groups = clusters(products, noise=noise)
    few = vectors[:, 240:440]
    return Sample(few / np.linalg.norm(few, axis=1, keepdims=True), groups, NO_PAIRS, NO_PAIRS)


def chosen(sample: Sample, serving: Projection | None = None, fresh: np.ndarray | None = None) -> Choice:
    return choose(sample, serving, np.ones(len(sample.vectors), bool) if fresh is None else fresh, 0)


def test_each_product_is_held_out_once_and_what_gains_beyond_doubt_is_chosen() -> None:
    sample = shop(24)
    choice = chosen(sample)
    assert choice.projection
    assert choice.learning.method == "products"
    assert choice.learning.gain
    assert (choice.learning.gain.products, choice.learning.gain.queries) == (24, 96)
    assert choice.learning.gain.low > 0


def test_what_is_learned_is_as_narrow_as_loses_next_to_nothing() -> None:
    """These vectors fill 120 of 512 dimensions."""
    vectors, groups = clusters(80, noise=0.7)
    vectors[:, 80:400] = 0
    groups[groups >= 24] = -1
    lean = Sample(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), groups, NO_PAIRS, NO_PAIRS)
    projection = chosen(lean).projection
    assert projection
    assert projection.matrix.shape == (256, 512)


def test_what_is_not_certain_is_not_chosen() -> None:
    assert chosen(shop(24, noise=0.01)).projection is None


def test_what_needs_no_products_is_measured_on_all_of_them_at_once() -> None:
    """Of these 24 products, no third is enough for certainty."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(24), 4)
    vectors = (random.normal(size=(24, 60))[groups] / 60**0.5 + 0.35 * random.normal(size=(96, 60))).astype(np.float32)
    choice = chosen(Sample(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), groups, NO_PAIRS, NO_PAIRS))
    assert choice.projection
    assert choice.learning.method == "mean"
    assert choice.learning.gain
    assert choice.learning.gain.low > 0


def test_only_products_that_came_later_are_measured() -> None:
    """A product with one image from before counts as known to what serves."""
    sample = shop(24)
    fresh = sample.groups >= 12
    fresh[-1] = False
    gain = chosen(sample, mean_taken_out(sample.vectors), fresh).learning.gain
    assert gain
    assert gain.products == 11
    none = chosen(sample, mean_taken_out(sample.vectors), np.zeros(len(fresh), bool))
    assert (none.projection, none.learning.gain) == (None, None)


def test_without_products_the_mean_is_taken_out_unless_something_serves() -> None:
    sample = replace(shop(5), groups=np.full(20, -1))
    choice = chosen(sample)
    assert choice.projection
    assert (choice.learning.method, choice.learning.gain) == ("mean", None)
    np.testing.assert_array_equal(choice.projection.matrix, np.eye(200))
    assert choice.projection.neighbours == 0
    np.testing.assert_allclose(choice.projection.centre, sample.vectors.mean(axis=0) / 2, atol=1e-6)
    assert chosen(sample, choice.projection).projection is None


@pytest.mark.parametrize(
    ("products", "images", "noise", "method", "learned_from"),
    [(4, 6, 1.0, "products", 4), (5, 12, 0.7, "mean", 0), (3, 12, 1.0, "mean", 0)],
)
def test_with_too_few_products_for_certainty_what_seems_best_is_taken(
    products: int, images: int, noise: float, method: str, learned_from: int
) -> None:
    """Neighbours help here. Three products cannot be split, so nothing is learned from them."""
    vectors, groups = clusters(products, images=images, noise=noise)
    sample = Sample(vectors, groups, NO_PAIRS, NO_PAIRS)
    choice = chosen(sample)
    assert choice.projection
    assert choice.projection.neighbours > 0
    assert (choice.learning.method, choice.learning.products) == (method, learned_from)
    assert choice.learning.gain
    assert choice.learning.gain.after > choice.learning.gain.before
    assert choice.learning.gain.low < 0 or products == 3
    assert chosen(sample, choice.projection).projection is None


def test_an_image_that_is_searched_for_draws_none_of_those_that_it_is_searched_among() -> None:
    """The closed form is what comes out if each query is left out in turn; of the neighbours, one is missing then."""
    vectors, _ = clusters(4)
    queries = np.array([0, 5, 6])
    found = augment(vectors, 3).similarities(vectors, queries)
    for row, query in enumerate(queries):
        for image in set(range(len(vectors))) - {query}:
            cosines = vectors @ vectors[image]
            *nearest, last = np.argsort(-cosines)[:5]  # itself among them
            rest = [place for place in nearest if place != query]
            drawn = ((cosines[rest] - cosines[last]) / (1 - cosines[last])) ** 0.5 @ vectors[rest]
            assert found[row, image] == pytest.approx(drawn @ vectors[query] / np.linalg.norm(drawn), abs=1e-5)


def test_intervals_from_few_products_are_wider() -> None:
    """Student's quantile of 99 % is 1.79 times the normal one's at 4 degrees of freedom."""
    values = np.tile([-1.0, -0.5, 0.0, 0.5, 1.0], 20)
    few = bootstrapped(values, np.arange(100) % 5, 0)
    spread = np.std([-1, -0.5, 0, 0.5, 1]) / 5**0.5
    assert few.high > 1.79 * 2.2 * spread
    many = bootstrapped(values, np.arange(100), 0)
    assert many.high == pytest.approx(2.58 * values.std() / 10, rel=0.15)


def test_the_process_is_asked_and_answers_by_arrays_alone() -> None:
    sample = shop(6)
    serving = mean_taken_out(sample.vectors)
    given = learning_process.question(sample, serving, np.ones(24, bool))
    answered = learning_process.answer(learning_process._chosen(given))
    expected = chosen(replace(sample, vectors=sample.vectors.astype(np.float16).astype(np.float32)), serving)
    assert answered.learning == expected.learning


BEFORE = LiveQuality(judged=100, reciprocal_rank=0.6, variance=0.16, searches=2000, clicked=400, recall=0.99)


@pytest.mark.parametrize(
    ("after", "loss"),
    [
        (BEFORE, ""),
        (replace(BEFORE, reciprocal_rank=0.45), ""),  # by chance, perhaps
        (replace(BEFORE, reciprocal_rank=0.3), "MRR fell from 0.600 to 0.300"),
        (replace(BEFORE, reciprocal_rank=0.3, judged=49), ""),
        (replace(BEFORE, reciprocal_rank=0.9), ""),
        (replace(BEFORE, clicked=340), ""),
        (replace(BEFORE, clicked=300), "the click-through rate fell from 0.200 to 0.150"),
        (replace(BEFORE, clicked=60, searches=400), ""),
        (replace(BEFORE, recall=0.95), "recall fell from 0.990 to 0.950"),
        (replace(BEFORE, recall=None), ""),
    ],
)
def test_searches_are_worse_only_beyond_doubt(after: LiveQuality, loss: str) -> None:
    assert BEFORE.loss(after) == loss
    assert LiveQuality.of_json(after.to_json()) == after


def test_the_load_is_high_while_the_loop_is_late_or_calls_wait() -> None:
    database = SimpleNamespace(calls_wait=False)
    load = Load(database)
    found = [load.is_high]
    for lag, count in ((0.1, 10), (0.0, 30)):
        for _ in range(count):
            load.observe(lag)
        found.append(load.is_high)
    database.calls_wait = True
    assert [*found, load.is_high] == [False, True, False, True]
