"""What pairs connect is a cluster, whatever their order; dismissed images stay apart; few of many pairs are kept."""

import itertools

import numpy as np
import pytest

from lookalike_searcher.copies.proof import Kind
from lookalike_searcher.duplicates.candidates import Candidates
from lookalike_searcher.duplicates.clustering import Clusters, Fellow
from lookalike_searcher.duplicates.neighbours import Pairs


def test_the_nearest_fellow_is_the_most_similar_one_whatever_came_first() -> None:
    pairs = [(1, 2, 0.9, None), (2, 3, 0.97, Kind.NEAR_DUPLICATE), (7, 8, 0.95, None)]
    for order in itertools.permutations(pairs):
        clusters = Clusters()
        for pair in order:
            clusters.join(*pair)
        assert clusters.groups() == [[1, 2, 3], [7, 8]]
        assert clusters.fellows[2] == Fellow(3, 0.97, Kind.NEAR_DUPLICATE)
        assert clusters.fellows[1] == Fellow(2, 0.9, None)


def test_a_pair_is_settled_only_if_both_have_a_fellow_as_near() -> None:
    clusters = Clusters()
    clusters.join(1, 2, 0.99)
    clusters.join(2, 3, 0.9)
    assert clusters.are_settled(1, 3, 0.9)
    assert not clusters.are_settled(1, 3, 0.95)
    assert not clusters.are_settled(1, 4, 0.9)


def test_dismissed_images_are_never_in_one_cluster_however_long_the_way() -> None:
    clusters = Clusters([(1, 5), (6, 2)])
    for one, other in ((1, 2), (4, 5), (2, 3)):
        assert not clusters.are_apart(one, other)
        clusters.join(one, other, 0.9)
    assert clusters.are_apart(3, 4)
    assert clusters.are_apart(4, 3)
    assert clusters.are_apart(6, 3)
    assert not clusters.are_apart(4, 6)
    assert clusters.groups() == [[1, 2, 3], [4, 5]]


def pairs_of(vectors: int, seed: int) -> Pairs:
    rng = np.random.default_rng(seed)
    all_pairs = list(itertools.combinations(range(vectors), 2))
    return Pairs.of(
        [
            (one, other, float(cosine))
            for (one, other), cosine in zip(all_pairs, rng.random(len(all_pairs)), strict=True)
        ]
    )


@pytest.mark.parametrize("by_cosine", [True, False])
def test_of_too_many_pairs_the_least_similar_are_left_out_or_those_that_change_nothing(*, by_cosine: bool) -> None:
    pairs, candidates = pairs_of(30, 1), Candidates(60, by_cosine=by_cosine)
    for start in range(0, len(pairs), 25):
        candidates.add(pairs[slice(start, start + 25)])
        if by_cosine:
            candidates.add(pairs[slice(start, start + 5)])  # again
    kept = candidates.pairs()
    assert len(kept) <= 60
    if by_cosine:
        assert candidates.left_out == 0
        assert clustered(kept) == clustered(pairs)
    else:
        assert candidates.count == len(pairs)
        assert candidates.left_out == len(pairs) - 60
        assert kept.cosines.min() == np.sort(pairs.cosines)[-60]


def clustered(pairs: Pairs) -> tuple[list[list[int]], dict[int, Fellow]]:
    clusters = Clusters()
    for one, other, cosine in zip(pairs.ones.tolist(), pairs.others.tolist(), pairs.cosines.tolist(), strict=True):
        clusters.join(one, other, cosine)
    return clusters.groups(), clusters.fellows
