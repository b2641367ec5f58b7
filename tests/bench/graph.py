"""The graph, measured: build time, size, recall and pace of pgvector's HNSW by its settings, without the searcher.

A real PostgreSQL in a temporary folder, and an expert's two tables in it (`pgvector`), filled with the vectors that
`searcher` draws. Each seed draws other vectors in another order. For the first setting, an index is also built over
rows sorted by cluster, and one is measured again after deletions and a vacuum. The last line is JSON.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Final, NamedTuple

import numpy as np

from lookalike_searcher.database import postgres
from tests.bench.dataset import Dataset
from tests.bench.descriptors import Descriptors, descriptors
from tests.bench.drawn_dataset import prepared
from tests.bench.figures import Figure, show
from tests.bench.ground_truth import Truth
from tests.bench.pgvector import Graph, Tables, recall_and_milliseconds, tables
from tests.bench.scratch import run
from tests.bench.synthetic_vectors import Vectors

_SETTINGS: Final = "32/512,32/256,16/64,16/128,24/96,32/128"
_DEPTHS: Final = "40,100,200,400"
_LOOKED_AT: Final = 20_000
"""A walk to about so many of the images is tried, with their own vectors, at the first depth; evenly over
the order of insertion, as those that were inserted last are reached less."""


class Setting(NamedTuple):
    """Of an index."""

    m: int
    ef_construction: int

    def __str__(self) -> str:
        """As it is given."""
        return f"{self.m}/{self.ef_construction}"


@dataclass
class Measured:
    """What was found with one setting, or after something was done: a value, or a pair of a depth, for each seed."""

    builds: list[Graph] = field(default_factory=list)
    unreached: list[float] = field(default_factory=list)
    recall: dict[int, list[float]] = field(default_factory=dict)
    pace: dict[int, list[float]] = field(default_factory=dict)

    def add(self, depth: int, found: tuple[float, float]) -> None:
        """Recall and milliseconds at a depth."""
        for values, value in zip((self.recall, self.pace), found, strict=True):
            values.setdefault(depth, []).append(value)


class Bench:
    """What is measured, by name: a setting, or what was done to an index of the first one.

    Args:
        options: of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.found: dict[str, Measured] = {}

    async def seed(self, expert: Tables, real: Descriptors, seed: int) -> None:
        """All of it with the vectors of one seed."""
        dataset, queries, _ = prepared(real, self.options.images, seed)
        asked = queries.vectors[: self.options.queries]
        truth = Truth(dataset.vectors, asked)
        await expert.fill(dataset, range(len(dataset)))
        for setting in self.options.settings[::-1]:  # the first one comes last, and is degraded then
            await self._built(str(setting), setting, expert, asked, truth)
        await self._degraded(expert, dataset, asked, np.random.default_rng(seed))
        await expert.fill(dataset, np.argsort(dataset.places["cluster"]).tolist())
        await self._built("sorted by cluster", self.options.settings[0], expert, asked, truth)

    async def _built(self, name: str, setting: Setting, expert: Tables, asked: Vectors, truth: Truth) -> None:
        graph = await expert.build(*setting, memory_mb=self.options.memory_mb)
        measured = self.found.setdefault(name, Measured())
        measured.builds.append(graph)
        await self._walked(name, expert, asked, truth)
        await expert.depth(self.options.depths[0])
        looked_at = range(0, self.options.images, max(1, self.options.images // _LOOKED_AT))
        measured.unreached.append(await expert.unreached(looked_at) / len(looked_at))
        print(f"{name}: unreached {measured.unreached[-1]:.3%}", flush=True)

    async def _degraded(self, expert: Tables, dataset: Dataset, asked: Vectors, rng: np.random.Generator) -> None:
        """Delete a share of the images, anywhere, and vacuum; what should be found is among the others."""
        gone = rng.random(len(dataset)) < self.options.deleted
        left = np.flatnonzero(~gone)
        await expert.delete(np.flatnonzero(gone).tolist())
        truth = Truth(dataset.vectors[left], asked)
        await self._walked("after deletions", expert, asked, truth, left)

    async def _walked(
        self, name: str, expert: Tables, asked: Vectors, truth: Truth, left: np.ndarray | None = None
    ) -> None:
        measured = self.found.setdefault(name, Measured())
        for depth in self.options.depths:
            await expert.depth(depth)
            await expert.warm(asked)
            number_of = int if left is None else lambda row: int(np.searchsorted(left, row))
            measured.add(depth, await recall_and_milliseconds(expert, asked, truth, number_of))
        print(f"{name}: {_curve(measured)}", flush=True)


def _curve(measured: Measured) -> str:
    return "; ".join(
        f"ef {depth}: {shares[-1]:.4f} in {measured.pace[depth][-1]:.2f} ms"
        for depth, shares in measured.recall.items()
    )


def figures(found: dict[str, Measured]) -> Iterator[Figure]:
    """The median over the seeds, with the range."""
    for name, measured in found.items():
        if measured.builds:
            yield _median(f"build_seconds.{name}", [graph.seconds for graph in measured.builds])
            yield _median(f"index_bytes.{name}", [graph.bytes for graph in measured.builds])
            yield _median(f"unreached.{name}", measured.unreached)
        for depth, shares in measured.recall.items():
            yield _median(f"recall_at_10.{name} ef {depth}", shares)
            yield _median(f"search_ms.{name} ef {depth}", measured.pace[depth])


def _median(name: str, values: Sequence[float]) -> Figure:
    return Figure(name, float(np.median(values)), f"{len(values)} seeds, {min(values):,.5g} to {max(values):,.5g}")


async def measure(options: argparse.Namespace, folder: Path, log: IO[bytes]) -> list[Figure]:
    """One seed after the other."""
    real = await descriptors(options.photos, folder / "photos", log)
    bench = Bench(options)
    with postgres.embedded(folder / "data") as embedded:
        async with tables(embedded.url) as expert:
            for seed in range(options.seed, options.seed + options.seeds):
                await bench.seed(expert, real, seed)
    return list(figures(bench.found))


def settings_of(text: str) -> list[Setting]:
    """Pairs of m and ef_construction, as 16/64,24/96."""
    return [Setting(*map(int, pair.split("/"))) for pair in text.split(",")]


def depths_of(text: str) -> list[int]:
    """Numbers with commas between them."""
    return [int(depth) for depth in text.split(",")]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000, help="how many are indexed; up to 1,000,000")
    parser.add_argument("--photos", type=Path, help="folder of image files to fit the model to, beside the demo's")
    parser.add_argument("--settings", type=settings_of, default=_SETTINGS, help="m/ef_construction, with commas")
    parser.add_argument("--depths", type=depths_of, default=_DEPTHS, help="hnsw.ef_search, with commas")
    parser.add_argument("--seeds", type=int, default=3, help="how many: vectors and orders of insertion")
    parser.add_argument("--seed", type=int, default=0, help="the first of them")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--deleted", type=float, default=0.3, help="share of the images that is deleted")
    parser.add_argument("--memory-mb", type=int, default=2048, help="maintenance_work_mem of a build")
    return parser.parse_args(given)


def main() -> None:
    """Measure, print a table, then JSON."""
    options = arguments()
    found = run(partial(measure, options))
    title = f"HNSW over {options.images:,} vectors by m/ef_construction; {options.deleted:.0%} deleted, then vacuumed"
    show(title, (), found)


if __name__ == "__main__":
    main()
