"""Re-ranking: images that lie together are found together."""

import numpy as np
import pytest

from lookalike_searcher.search.reranking import scores


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def kinds(spread: float = 1.2) -> tuple[np.ndarray, np.ndarray]:
    """Twelve kinds of ten images each, scattered about their middles and sharing a direction; the kind of each."""
    random = np.random.default_rng(0)
    middles, common = unit(random.normal(size=(12, 64))), unit(random.normal(size=(1, 64)))
    labels = np.repeat(np.arange(12), 10)
    return unit(middles[labels] + common + spread * unit(random.normal(size=(120, 64)))), labels


def precision(order: np.ndarray, labels: np.ndarray, label: int) -> float:
    """Of the first nine."""
    return float(np.mean(labels[order[:9]] == label))


def test_more_of_the_querys_kind_come_first() -> None:
    vectors, labels = kinds()
    before, after = [], []
    for number, query in enumerate(vectors):
        others = np.delete(np.arange(120), number)
        cosines = vectors[others] @ query
        shortlist = others[np.argsort(-cosines)][:60]
        before.append(precision(shortlist, labels, labels[number]))
        found = shortlist[np.argsort(-np.array(scores(vectors[[number, *shortlist]])), kind="stable")]
        after.append(precision(found, labels, labels[number]))
    assert np.mean(after) > np.mean(before) + 0.1


def drawn(vectors: np.ndarray, neighbours: int) -> np.ndarray:
    """Each vector added up with its nearest, by how far they exceed the least of them, of vectors."""
    sums = []
    for vector in vectors:
        cosines = vectors @ vector
        nearest = np.argsort(-cosines)[: 1 + neighbours]
        sums.append((cosines[nearest] - cosines[nearest[-1]]) @ vectors[nearest])
    return unit(np.array(sums))


def test_scores_are_the_cosines_of_vectors_that_were_drawn_twice() -> None:
    vectors = kinds()[0][:40]
    found = drawn(drawn(unit(vectors - 0.7 * vectors[1:].mean(axis=0)), 3), 5)
    assert scores(vectors) == pytest.approx((found[1:] @ found[0]).tolist(), abs=1e-4)


def test_the_query_itself_stays_first() -> None:
    vectors, _ = kinds()
    found = scores(np.stack([vectors[0], *vectors[:50]]))
    assert int(np.argmax(found)) == 0
    assert found[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_images_or_equal_ones_are_ranked_too(count: int) -> None:
    query, image = np.eye(64, dtype=np.float32)[:2]
    found = scores(np.stack([query, *[image] * count]))
    assert len(found) == count
    assert len(set(found)) == 1
    assert all(-1 <= score <= 1 for score in found)


def test_order_does_not_depend_on_the_order_of_the_shortlist() -> None:
    vectors, _ = kinds()
    forward = scores(vectors[:40])
    backward = scores(np.concatenate([vectors[:1], vectors[39:0:-1]]))
    assert backward[::-1] == pytest.approx(forward, abs=1e-5)
