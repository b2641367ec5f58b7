"""The search for near pairs without a database: comparison in memory, and what is asked of the index."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from lookalike_searcher.database import halfvec
from lookalike_searcher.duplicates import sketch
from lookalike_searcher.duplicates.approximate import Lookup
from lookalike_searcher.duplicates.sketch import Rotation

if TYPE_CHECKING:
    from lookalike_searcher.projects.space_reader import SpaceReader


def unit(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True), np.float32)


def photos(seed: int, count: int) -> np.ndarray:
    """Vectors of which some are near one another, at all distances from alike to unlike."""
    rng = np.random.default_rng(seed)
    themes = unit(rng.normal(size=(count // 8, 512)))
    aside = unit(rng.normal(size=(count, 512))) * 1.2 * rng.random((count, 1)) ** 3
    return unit(themes[rng.integers(len(themes), size=count)] + aside)


@pytest.mark.parametrize("least", [0.3, 0.8, 0.95, 0.999])
@pytest.mark.parametrize("later_only", [True, False])
def test_near_pairs_are_found_as_by_comparing_all_in_full(
    *, least: float, later_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids of both are mixed, and some are among both."""
    monkeypatch.setattr(sketch, "_WORTH_ROTATING", 100)
    for dense in (0.0, 0.01, 1.0):
        monkeypatch.setattr(sketch, "_DENSE", dense)
        vectors, rng = photos(1, 900), np.random.default_rng(2)
        ids = np.sort(rng.permutation(5000)[:900])
        asks, answers = rng.random(900) < 0.5, rng.random(900) < 0.5
        rotation = Rotation(vectors[:200])
        seekers = rotation.vectors(ids[asks].tolist(), vectors[asks])
        candidates = rotation.vectors(ids[answers].tolist(), vectors[answers])
        cosines = vectors[answers] @ vectors[asks].T
        ones, others = ids[answers][:, np.newaxis], ids[asks][np.newaxis]
        meant = (cosines >= least) & ((ones < others) if later_only else (ones != others))
        expected = {
            (int(ids[answers][row]), int(ids[asks][column])) for row, column in zip(*meant.nonzero(), strict=True)
        }
        found = sketch.near_pairs(seekers, candidates, least, later_only=later_only)
        assert len(expected) > 3
        assert len(found) == len(expected)
        assert set(zip(found.ones.tolist(), found.others.tolist(), strict=True)) == expected


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


class Index:
    """A source whose index finds what is given, at each depth that it is asked for."""

    def __init__(self, found: Mapping[int, Sequence[tuple[int, int]]], featureless: Collection[int] = ()) -> None:
        self.found, self.featureless, self.asked = found, featureless, list[tuple[int, list[int]]]()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[tuple[Any, Any, Any]]:
        yield self, SimpleNamespace(id=1), SimpleNamespace(id=1, index_time=True)

    async def execute(self, settings: str) -> None:
        assert "hnsw.ef_search" in settings

    async def fetch(
        self, _: str, ids: list[int], depth: int, distance: float
    ) -> Sequence[tuple[int, int, bool, float]]:
        self.asked.append((depth, ids))
        assert distance == pytest.approx(0.05, abs=1e-4)
        return [(asked, near, near in self.featureless, 0.01) for asked, near in self.found[depth] if asked in ids]


async def looked_up(index: Index, ids: list[int]) -> set[tuple[int, int]]:
    found = [pairs async for pairs in Lookup(cast("SpaceReader", index), 0.95, 512).pairs(ids, later_only=True)]
    return {pair for pairs in found for pair in zip(pairs.ones.tolist(), pairs.others.tolist(), strict=True)}


async def test_the_index_is_asked_for_more_where_an_image_does_not_find_itself() -> None:
    """Then the way to it was missed. What is found at last counts, although the image is not among it."""
    index = Index({16: [(1, 1), (1, 4), (2, 7)], 128: [(2, 2), (2, 5), (2, 7)], 1000: [(3, 6)]})
    assert await looked_up(index, [1, 2, 3]) == {(1, 4), (2, 5), (3, 6), (2, 7)}
    assert index.asked == [(16, [1, 2, 3]), (128, [2, 3]), (1000, [3])]


async def test_what_the_index_finds_without_features_is_no_neighbour_yet_counts_as_found() -> None:
    """Where all that it found are near, there may be more behind them, with features."""
    blank = range(20, 36)
    index = Index({16: [(1, near) for near in blank], 128: [(1, 1), (1, 2), *((1, near) for near in blank)]}, blank)
    assert await looked_up(index, [1]) == {(1, 2)}
    assert [depth for depth, _ in index.asked] == [16, 128]
