"""The search for duplicates without a database: comparison in memory, and clusters from neighbours."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from lookalike_searcher.database import halfvec
from lookalike_searcher.duplicates import sketch
from lookalike_searcher.duplicates.approximate import Lookup
from lookalike_searcher.duplicates.clustering import Forest
from lookalike_searcher.duplicates.sketch import Rotation

if TYPE_CHECKING:
    from lookalike_searcher.projects.space_reader import SpaceReader

Near = Mapping[int, Collection[int]]


def unit(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True), np.float32)


def photos(seed: int, count: int) -> np.ndarray:
    """Vectors of which some are near one another, at all distances from alike to unlike."""
    rng = np.random.default_rng(seed)
    themes = unit(rng.normal(size=(count // 8, 512)))
    aside = unit(rng.normal(size=(count, 512))) * 1.2 * rng.random((count, 1)) ** 3
    return unit(themes[rng.integers(len(themes), size=count)] + aside)


@pytest.mark.parametrize("least", [0.3, 0.8, 0.95, 0.999])
def test_the_first_near_candidate_is_found_as_by_comparing_all_in_full(
    least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids of both are mixed, and candidates after a seeker do not count."""
    monkeypatch.setattr(sketch, "_TILE", 100)
    monkeypatch.setattr(sketch, "_WORTH_ROTATING", 100)
    for dense in (0.0, 0.01, 1.0):
        monkeypatch.setattr(sketch, "_DENSE", dense)
        vectors, rng = photos(1, 900), np.random.default_rng(2)
        ids = np.sort(rng.permutation(5000)[:900])
        asks = rng.random(900) < 0.5
        rotation = Rotation(vectors[:200])
        seekers = rotation.vectors(ids[asks].tolist(), vectors[asks])
        candidates = rotation.vectors(ids[~asks].tolist(), vectors[~asks])
        cosines = vectors[asks] @ vectors[~asks].T
        expected = {}
        for row, seeker in enumerate(ids[asks].tolist()):
            near = [c for column, c in enumerate(ids[~asks].tolist()) if c < seeker and cosines[row, column] >= least]
            if near:
                expected[seeker] = min(near)
        assert len(expected) > 3
        assert sketch.earliest_near(seekers, candidates, least) == expected


@pytest.mark.parametrize("worth_rotating", [0, 1000])
def test_sketches_are_never_less_alike_than_the_vectors(monkeypatch: pytest.MonkeyPatch, worth_rotating: int) -> None:
    """Also where vectors lie in the plane of the sketches, or all but do, and where the sample was unlike them."""
    monkeypatch.setattr(sketch, "_WORTH_ROTATING", worth_rotating)
    flat = np.zeros((50, 512), np.float32)
    flat[:, :10] = np.random.default_rng(3).normal(size=(50, 10))
    flat[0] = flat[1]
    leaning = np.zeros((2, 512), np.float32)
    leaning[:, 0], leaning[:, -1] = (2e-4, 0.6), (1, 0.8)
    for sample, vectors in (
        (photos(4, 200), photos(5, 200)),
        (unit(flat), unit(flat)),
        (unit(flat), photos(6, 200)),
        (leaning[1:], leaning),
    ):
        made = Rotation(sample).vectors(range(len(vectors)), vectors)
        assert (made.sketches @ made.sketches.T >= vectors @ vectors.T - sketch._SLACK).all()


def test_vectors_have_length_one_again_after_rounding() -> None:
    decoded = sketch.decoded(halfvec.encode(photos(7, 100)), 512)
    np.testing.assert_allclose(np.linalg.norm(decoded, axis=1), 1, atol=1e-6)
    assert sketch.decoded([], 512).shape == (0, 512)


class Graph:
    """Neighbours that are known beforehand."""

    def __init__(self, near: Near) -> None:
        self.near = near

    async def later(self, ids: Iterable[int], skip: Collection[int]) -> dict[int, int]:
        found: dict[int, int] = {}
        for image in sorted(ids):
            for other in self.near[image]:
                if other > image and other not in skip:
                    found.setdefault(other, image)
        return found

    async def earlier(self, ids: Iterable[int], up_to: int) -> dict[int, int]:
        firsts = {image: min((*self.near[image], image)) for image in ids}
        return {image: first for image, first in firsts.items() if first < image and first <= up_to}


def graph(seed: int, size: int, pairs: int) -> Near:
    rng, near = np.random.default_rng(seed), {image: set[int]() for image in range(1, size + 1)}
    for left, right in rng.integers(1, size + 1, size=(pairs, 2)).tolist():
        if left != right:
            near[left].add(right)
            near[right].add(left)
    return near


def clusters_of(near: Near, alone: Collection[int]) -> list[list[int]]:
    """By the rule: everybody follows the first near image before him."""
    leaders = {image: min((*others, image)) for image, others in near.items()}

    def root(image: int) -> int:
        return image if leaders[image] == image else root(leaders[image])

    of_root: dict[int, list[int]] = {}
    for image in sorted(near):
        of_root.setdefault(root(image), []).append(image)
    return [found for found in of_root.values() if len(found) > 1 or found[0] in alone]


async def walk(near: Near, alone: Collection[int], block: int, began: int = 0) -> list[list[int]]:
    forest, images = Forest(Graph(near), began), sorted(image for image in near if image > began)
    found = []
    for start in range(0, len(images), block):
        part = images[start : start + block]
        clusters = await forest.clusters(part, {image for image in part if image in alone})
        assert all(part[0] <= cluster[0] <= part[-1] for cluster in clusters)
        found += clusters
    return found


@pytest.mark.parametrize("seed", range(60))
async def test_clusters_follow_the_rule_whatever_the_blocks_and_wherever_the_walk_begins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 40))
    near, alone = graph(seed, size, int(rng.integers(0, 3 * size))), set(rng.integers(1, size + 1, size=5).tolist())
    expected = clusters_of(near, alone)
    for block in (1, 2, 3, 7, 100):
        assert await walk(near, alone, block) == expected
        for began in range(1, size + 1):
            assert await walk(near, alone, block, began) == [found for found in expected if found[0] > began]


async def test_images_of_a_given_cluster_are_not_compared_again() -> None:
    """Of a hundred that are all alike, only the first is compared with the others, and those with nobody."""
    asked: list[tuple[int, int]] = []

    class Counting(Graph):
        async def later(self, ids: Iterable[int], skip: Collection[int]) -> dict[int, int]:
            ids = list(ids)
            asked.append((len(ids), len(self.near) - len(skip)))
            return await super().later(ids, skip)

    everybody = range(1, 101)
    forest = Forest(Counting({image: set(everybody) - {image} for image in everybody}), 0)
    assert await forest.clusters([1], ()) == [list(everybody)]
    for image in everybody[1:]:
        await asyncio.sleep(0)
        assert await forest.clusters([image], ()) == []
    assert asked[:2] == [(1, 100), (99, 0)]
    assert {ids for ids, _ in asked[2:]} == {0}


class Index:
    """A source whose index finds what is given, at each depth that it is asked for."""

    def __init__(self, found: Mapping[int, Sequence[tuple[int, int]]], featureless: Collection[int] = ()) -> None:
        self.found, self.featureless, self.asked = found, featureless, list[tuple[int, list[int]]]()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[tuple[Any, Any, Any]]:
        yield self, SimpleNamespace(id=1), SimpleNamespace(id=1, index_time=True)

    async def execute(self, settings: str) -> None:
        assert "hnsw.ef_search" in settings

    async def fetch(self, _: str, ids: list[int], depth: int, distance: float) -> Sequence[tuple[int, int, bool]]:
        self.asked.append((depth, ids))
        assert distance == pytest.approx(0.05, abs=1e-4)
        return [(asked, near, near in self.featureless) for asked, near in self.found[depth] if asked in ids]


async def test_the_index_is_asked_for_more_where_an_image_does_not_find_itself() -> None:
    """Then the way to it was missed. What is found at last counts, although the image is not among it."""
    index = Index({16: [(1, 1), (1, 4), (2, 7)], 128: [(2, 2), (2, 5), (2, 7)], 1000: [(3, 6)]})
    assert await Lookup(cast("SpaceReader", index), 0.95, 512).later([3, 1, 2], ()) == {4: 1, 5: 2, 6: 3, 7: 2}
    assert index.asked == [(16, [1, 2, 3]), (128, [2, 3]), (1000, [3])]


async def test_what_the_index_finds_without_features_is_no_neighbour_yet_counts_as_found() -> None:
    """Where all that it found are near, there may be more behind them, with features."""
    blank = range(20, 36)
    index = Index({16: [(1, near) for near in blank], 128: [(1, 1), (1, 2), *((1, near) for near in blank)]}, blank)
    assert await Lookup(cast("SpaceReader", index), 0.95, 512).later([1], ()) == {2: 1}
    assert [depth for depth, _ in index.asked] == [16, 128]
