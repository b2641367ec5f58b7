"""Projects with default settings, settled: some of one size, each of another seed, and smaller ones; searched by turns.

All are in one database, so that a noisy machine disturbs all alike, and each has more than one turn. A project's turn
begins with searches that do not count, as the one before has filled PostgreSQL's buffers.
"""

import dataclasses
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np

from lookalike.v1 import searcher_pb2 as wire
from tests.bench.dataset import Dataset
from tests.bench.descriptors import Descriptors
from tests.bench.drawn_dataset import prepared
from tests.bench.figures import Figure
from tests.bench.ground_truth import Truth
from tests.bench.latency import by_turns, milliseconds
from tests.bench.loading import load
from tests.bench.searcher_process import Site, site
from tests.bench.searches import Queries, answered

SIZES: Final = (1_000, 5_000, 20_000, 40_000)
_ROUNDS, _TURN, _WARM_UP = 8, 40, 20


@dataclass(frozen=True)
class Loaded:
    """A project that was loaded, what is searched for in it, and what should be found."""

    queries: Queries
    truth: Truth


@dataclass(frozen=True)
class Settled:
    """How a settled project is searched.

    Attributes:
        images: how many it has.
        recall: at 10.
        approximate: the share of default searches that the index answered.
        p50: of a search, in milliseconds.
        ef_search: that the searcher chose; 0 without an index.
    """

    images: int
    recall: float
    approximate: float
    p50: float
    ef_search: int


async def measure(
    real: Descriptors, folder: Path, log: IO[bytes], *, images: int, seeds: Sequence[int], sizes: Sequence[int]
) -> list[Figure]:
    """A project of `images` for each seed, and one for each of the sizes, drawn with the first seed."""
    async with site(folder, log) as here:
        projects: dict[str, Loaded] = {}
        for seed in seeds:
            dataset, queries, _ = prepared(real, images, seed)
            projects[f"seed-{seed}"] = await _loaded(here, dataset, queries, f"seed-{seed}")
            if seed == seeds[0]:
                for size in sizes:
                    rows = np.random.default_rng(size).choice(images, size, replace=False)
                    projects[f"size-{size}"] = await _loaded(here, dataset.subset(rows), queries, f"size-{size}")
            print(f"seed {seed}: loaded and built", flush=True)
        found = await _settled(here, projects)
    of_seeds = [found[f"seed-{seed}"] for seed in seeds]
    return [*_over_builds(of_seeds, seeds), *_over_sizes([found[f"size-{size}"] for size in sizes], of_seeds[0])]


async def _loaded(here: Site, dataset: Dataset, queries: Queries, project: str) -> Loaded:
    await load(here, dataset, project)
    await here.ready(project)
    return Loaded(
        dataclasses.replace(queries, dataset=dataset, project=project), Truth(dataset.vectors, queries.vectors)
    )


async def _settled(here: Site, projects: dict[str, Loaded]) -> dict[str, Settled]:
    """Search each for all, so that live recall has its first samples; wait for maintenance; then measure."""
    requests = {name: loaded.queries.requests() for name, loaded in projects.items()}
    for asked in requests.values():
        await answered(here, asked)
    indexes = await here.settled(list(projects))
    answers = {name: (await answered(here, asked))[1] for name, asked in requests.items()}
    parties = {name: lambda query, asked=asked: here.stub.Search(asked[query]) for name, asked in requests.items()}
    count = min(len(asked) for asked in requests.values())
    seconds = await by_turns(parties, count, rounds=_ROUNDS, turn=_TURN, warm_up=_WARM_UP)
    return {
        name: Settled(
            len(loaded.queries.dataset),
            loaded.truth.mean_recall(answers[name], 10),
            statistics.mean(answer.mode == wire.SEARCH_MODE_APPROXIMATE for answer in answers[name]),
            milliseconds(seconds[name]),
            indexes[name].ef_search,
        )
        for name, loaded in projects.items()
    }


def _over_builds(builds: Sequence[Settled], seeds: Sequence[int]) -> Iterator[Figure]:
    paces = [build.p50 for build in builds]
    on = f"{len(builds)} builds of {builds[0].images:,} images, seeds {', '.join(map(str, seeds))}"
    share = min(build.approximate for build in builds)
    searched = f"{on}; {_ROUNDS * _TURN} searches of each by turns: {', '.join(f'{pace:.2f}' for pace in paces)} ms"
    yield Figure("approximate_share", share, f"of the default searches, the worst of {on}", least=0.99)
    yield Figure("worst_build_p50_over_best", max(paces) / min(paces), searched, most=1.5)
    yield from _spread("search_p50_ms_of_builds", builds, lambda build: build.p50, searched)
    yield from _spread("recall_at_10_of_builds", builds, lambda build: build.recall, on)
    yield from _spread("ef_search_of_builds", builds, lambda build: build.ef_search, f"chosen for ten hits; {on}")


def _spread(name: str, builds: Sequence[Settled], value: Callable[[Settled], float], on: str) -> Iterator[Figure]:
    values = [value(build) for build in builds]
    for member, of_all in (("median", statistics.median), ("least", min), ("most", max)):
        yield Figure(f"{name}.{member}", of_all(values), on)


def _over_sizes(sizes: Sequence[Settled], whole: Settled) -> Iterator[Figure]:
    if not sizes:
        return
    worst = max(sizes, key=lambda size: size.p50)
    on = f"worst at {worst.images:,} images, {worst.p50:.2f} ms; {whole.images:,} images take {whole.p50:.2f} ms"
    yield Figure("p50_worst_size_over_100k", worst.p50 / whole.p50, on, most=1.5)
    for size in (*sizes, whole):
        on = f"recall@10 {size.recall:.4f}; {size.approximate:.0%} through the index, hnsw.ef_search {size.ef_search}"
        yield Figure(f"search_p50_ms_of_size.{size.images}", size.p50, on)
