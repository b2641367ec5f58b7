"""Calibrations, repeated: whether the same index gives the same hnsw.ef_search each time, for vectors of many kinds.

A real PostgreSQL in a temporary folder, and the searcher's own code in this process. Each kind has one index, which is
calibrated several times: with the queries that the searcher makes, and with those of users, other ones each time. The
hardest kind is also searched from too small a depth on, which live recall should correct. The last line is JSON.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Final

import numpy as np

from lookalike_searcher.config import Config
from lookalike_searcher.database import pool as databases
from lookalike_searcher.database import postgres
from lookalike_searcher.database.halfvec import encode
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.indexes import backfill, calibration, index
from lookalike_searcher.indexes.calibration import RECENT_QUERIES, Calibration
from lookalike_searcher.indexes.curve import EXACT, LADDER
from lookalike_searcher.projects import registry, spaces
from lookalike_searcher.projects.project import Limits
from lookalike_searcher.projects.projection import FLOATS, Projection, projections_of
from tests.bench import live_recall
from tests.bench.dataset import Dataset
from tests.bench.descriptors import Descriptors, descriptors
from tests.bench.figures import Figure, show
from tests.bench.ingest import copy
from tests.bench.scratch import run
from tests.bench.synthetic_vectors import Model, Vectors, normalised

_DERIVED: Final = "derived"
_SPREAD: Final = 0.2
"""Of the dense cluster: the standard deviation beside that of its centre."""
_ASKED: Final = "made", "of users"
_HARDEST: Final = "random"
"""Of the kinds, to search."""
_SEARCHES: Final = 300
"""So many begin with a walk that is not deep enough, until live recall has mended it."""


@dataclass(frozen=True)
class Kind:
    """Vectors, and what draws others like them: users' queries."""

    vectors: Vectors
    draw: Callable[[int], Vectors]


def kinds(real: Descriptors, images: int, rng: np.random.Generator) -> Iterator[tuple[str, Kind]]:
    """All of them, one after the other."""
    model = Model.fit(real.photos)

    def drawn(count: int) -> Vectors:
        return model.draw(count, rng)[0]

    def random(count: int) -> Vectors:
        return normalised(rng.standard_normal((count, real.photos.shape[1]), dtype=np.float32))

    centre = random(1) * np.sqrt(real.photos.shape[1])

    def dense(count: int) -> Vectors:
        return normalised(centre + _SPREAD * rng.standard_normal((count, real.photos.shape[1]), dtype=np.float32))

    copied = drawn(images)
    copied[: images * 3 // 10] = copied[rng.integers(images * 3 // 10, images, images * 3 // 10)]
    yield "real", Kind(real.photos, drawn)
    yield "drawn", Kind(drawn(images), drawn)
    yield "random", Kind(random(images), random)
    yield "dense", Kind(dense(images), dense)
    yield "duplicates", Kind(copied, drawn)
    yield _DERIVED, Kind(drawn(images), drawn)


async def measure(options: argparse.Namespace, folder: Path, log: IO[bytes]) -> list[Figure]:
    """One kind after the other."""
    real = await descriptors(options.photos, folder / "photos", log)
    rng = np.random.default_rng(options.seed)
    found: list[Figure] = []
    with postgres.embedded(folder / "data") as embedded:
        async with databases.connect(embedded.url, pool_size=8, command_timeout=600) as database:
            for name, kind in kinds(real, options.images, rng):
                space = await _built(database, name, kind, rng)
                for asked in _ASKED:
                    measured = []
                    for _ in range(options.times):
                        if asked != "made":
                            await _keep(database, name, space, kind.draw(RECENT_QUERIES))
                        measured.append(await calibration.measure(database, name, space, Config.recall_target))
                    found += (new := list(_figures(f"{name}, queries {asked}", measured)))
                    print(*(f"{figure.name} {figure.value:.4f} ({figure.on})" for figure in new), sep="\n", flush=True)
                if name == _HARDEST:
                    found += await live_recall.measure(database, name, space, kind.draw(_SEARCHES))
    return found


async def _built(database: Database, name: str, kind: Kind, rng: np.random.Generator) -> str:
    """A project of the kind's name, whose index is built. Returns the space that has the index."""
    dataset = Dataset.of(kind.vectors, np.arange(len(kind.vectors)), "measured", rng)
    project = await registry.create(database, name, dataset.space, Limits(), dataset.dimensions)
    async with database.writing() as connection:
        await copy(connection, project.id, project.serving.id, dataset.records(range(len(dataset))))
        await connection.execute(statement("project_recount"), project.id, len(dataset), len(dataset))
    space = project.serving
    if name == _DERIVED:
        size = kind.vectors.shape[1]
        matrix = np.linalg.qr(rng.standard_normal((size, size)))[0] * np.linspace(1, 0.1, size)
        projection = Projection(matrix.astype(FLOATS), kind.vectors.mean(axis=0).astype(FLOATS))
        derivation = spaces.Derivation(space.name, projection)
        project = await spaces.create(database, name, _DERIVED, derivation=derivation)
        await backfill.fill(database, name, _DERIVED)
        space = project.in_space(_DERIVED)
    async with database.own_connection("SET maintenance_work_mem = '1GB'") as connection:
        await index.build(connection, project.id, space.id)
        await connection.execute("ANALYZE")
    return space.name


async def _keep(database: Database, name: str, space: str, queries: Vectors) -> None:
    """Take these for the recent queries of users. A derived space is asked by what the projection makes of them."""
    async with database.writing() as connection:
        project = await registry.read(connection, name)
        halves = encode(queries)
        if project.in_space(space).source_id:
            halves = await (await projections_of(database).of(connection, project.in_space(space).id)).of(halves)
        for place, half in enumerate(halves):
            await connection.execute(statement("query_keep"), name, space, place, half)


def _figures(name: str, measured: Sequence[Calibration]) -> Iterator[Figure]:
    target = Config.recall_target
    for number, hits in enumerate(calibration.HIT_COUNTS):
        curves = [each.curves[number] for each in measured]
        rungs = [curve.rung(target) for curve in curves]
        depths: list[int] = []
        for curve in curves:  # one after the other, as the searcher calibrates a graph again
            walked = replace(curve, exact_seconds=math.inf)
            depths.append(walked.choose(target, before=depths[-1] if depths else None, same_graph=True))
        seen = ", ".join(f"{depth} {depths.count(depth)} times" for depth in sorted(set(depths)))
        exact = sum(curve.choose(target) == EXACT for curve in curves)
        steps = [LADDER.index(depth) for depth in depths]
        on = f"{hits} hits: {seen}; exact ranking as fast {exact} times"
        yield Figure(f"rungs_apart_{hits}.{name}", max(steps) - min(steps), on, most=1)
        through_index, exactly = (
            1000 * float(np.median(seconds))
            for seconds in ([rung.seconds for rung in rungs], [curve.exact_seconds for curve in curves])
        )
        recall = float(np.median([rung.recall for rung in rungs]))
        yield Figure(f"recall_{hits}.{name}", recall, f"in {through_index:.1f} ms, exactly in {exactly:.1f} ms")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5_000, help="of each kind but the real ones")
    parser.add_argument("--photos", type=Path, help="folder of image files to fit the model to, beside the demo's")
    parser.add_argument("--times", type=int, default=20, help="how often each index is calibrated, in each way")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(given)


def main() -> None:
    """Measure, print a table, then JSON."""
    options = arguments()
    found = run(partial(measure, options))
    show(
        f"{options.times} calibrations of each index, {options.images:,} vectors",
        ("rungs_apart_10", "rungs_apart_100"),
        found,
    )


if __name__ == "__main__":
    main()
