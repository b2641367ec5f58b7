"""Calibrations, repeated: whether the same index gives the same hnsw.ef_search each time, for vectors of many kinds.

A real PostgreSQL in a temporary folder, and the searcher's own code in this process. Each kind has one index, which is
calibrated several times: with the queries that the searcher makes, and with those of users, other ones each time. The
last line is JSON.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
import uvloop

from lookalike.signals import cancelled_when_terminated
from lookalike_searcher.config import Config
from lookalike_searcher.database import pool as databases
from lookalike_searcher.database import postgres
from lookalike_searcher.database.halfvec import encode
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.indexes import backfill, calibration, index
from lookalike_searcher.indexes.calibration import LADDER, RECENT_QUERIES, Calibration
from lookalike_searcher.indexes.curve import EXACT
from lookalike_searcher.projects import registry, spaces
from lookalike_searcher.projects.projection import FLOATS, projections_of
from lookalike_searcher.projects.registry import Limits
from tests.bench.dataset import Dataset
from tests.bench.descriptors import Descriptors, descriptors
from tests.bench.figures import Figure, show
from tests.bench.ingest import copy
from tests.bench.synthetic_vectors import Model, Vectors, normalised

_DERIVED: Final = "derived"
_SPREAD: Final = 0.2
"""Of the dense cluster: the standard deviation beside that of its centre."""
_STEPS: Final = [*LADDER, EXACT]
_ASKED: Final = "made", "of users"


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
        async with databases.connect(embedded.url, pool_size=2, command_timeout=600) as database:
            for name, kind in kinds(real, options.images, rng):
                space = await _built(database, name, kind, rng)
                for asked in _ASKED:
                    measured = []
                    for _ in range(options.times):
                        if asked != "made":
                            await _keep(database, name, space, kind.draw(RECENT_QUERIES))
                        measured.append(await calibration.measure(database, name, space, Config.recall_target))
                    found += _figures(f"{name}, queries {asked}", measured)
    return found


async def _built(database: Database, name: str, kind: Kind, rng: np.random.Generator) -> str:
    """A project of the kind's name, whose index is built. Returns the space that has the index."""
    dataset = Dataset.of(kind.vectors, np.arange(len(kind.vectors)), "measured", rng)
    project = await registry.create(database, name, dataset.space, Limits())
    async with database.writing() as connection:
        await copy(connection, project.id, project.serving.id, dataset.records(range(len(dataset))))
        await connection.execute(statement("project_recount"), project.id, len(dataset), len(dataset))
    space = project.serving
    if name == _DERIVED:
        size = kind.vectors.shape[1]
        matrix = np.linalg.qr(rng.standard_normal((size, size)))[0] * np.linspace(1, 0.1, size)
        stored = matrix.astype(FLOATS).tobytes(), kind.vectors.mean(axis=0).astype(FLOATS).tobytes()
        project = await spaces.create(database, name, _DERIVED, spaces.Derivation(space.name, *stored))
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
    for number, hits in enumerate(calibration.HIT_COUNTS):
        chosen = [each.curves[number].choose(Config.recall_target) for each in measured]
        steps = [_STEPS.index(step) for step in chosen]
        seen = ", ".join(
            f"{'exact' if step == EXACT else step} {chosen.count(step)} times" for step in sorted(set(chosen))
        )
        yield Figure(f"rungs_apart_{hits}.{name}", max(steps) - min(steps), f"{hits} hits: {seen}", most=1)
        rungs = [each.curves[number].rung(Config.recall_target) for each in measured]
        yield Figure(
            f"recall_{hits}.{name}",
            float(np.median([rung.recall for rung in rungs])),
            f"at {', '.join(str(step) for step in sorted({rung.ef_search for rung in rungs}))};"
            f" {1000 * np.median([rung.seconds for rung in rungs]):.1f} ms,"
            f" exactly {1000 * np.median([each.curves[number].exact_seconds for each in measured]):.1f} ms",
        )


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
    with (
        tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch,
        Path(scratch, "log").open("wb") as log,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        found = runner.run(cancelled_when_terminated(measure(options, Path(scratch), log)))
    show(
        f"{options.times} calibrations of each index, {options.images:,} vectors",
        ("rungs_apart_10", "rungs_apart_100"),
        found,
    )


if __name__ == "__main__":
    main()
