"""The searcher, measured: searches beside their own SQL, recall, filters, ingest beside COPY, duplicates.

A real PostgreSQL in a temporary folder, a real searcher as a process with default settings, calls through the generated
stubs. Vectors are drawn from a model of real descriptors: those of the photos that the demo ships, cut into pieces, or
of any folder's (--photos); the module `synthetic_vectors` says how. They are embedded once and kept in the cache.
Parties take turns within one run, so that a noisy machine disturbs all alike. The last line is JSON.
"""

import argparse
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from lookalike_serving.server import calm_collector
from tests.bench import (
    builds,
    by_hand,
    concurrent_clients,
    duplicates,
    filtered_search,
    ingest,
    loading,
    naive_sql,
    project_sizes,
    qdrant_edge,
    searches,
)
from tests.bench.descriptors import Descriptors, descriptors
from tests.bench.drawn_dataset import prepared
from tests.bench.figures import Figure, show
from tests.bench.ground_truth import Truth
from tests.bench.peers import comparison
from tests.bench.scratch import run
from tests.bench.searcher_process import Site, site
from tests.bench.searches import PROJECT

PARTS = (
    *("ingest", "search", "clients", "filters", "naive", "duplicates", "hand", "peers"),  # of one searcher
    *("sizes", "edge", "builds"),
)
NAMES = (
    "recall_at_10",
    "approximate_share",
    "worst_build_p50_over_best",
    "p50_worst_size_over_100k",
    "searcher_cpu_ms",
    "relay_cpu_ms",
    "searcher_cpu_over_relay",
    "rpc_over_relay_p50_ms",
    "qps_8_clients_over_relay",
    "p50_over_pgvector_by_hand",
    "p50_over_best_peer",
    "qps_over_best_peer",
    "search_p50_ms",
    "search_p99_ms",
    "build_minutes",
    "bytes_per_image",
    "rpc_over_sql_p50_ms",
    "qps_8_clients",
    "exact_p50_ms",
    "ingest_over_copy",
    "naive_sql_over_ours",
    "filtered_recall_at_10",
    "duplicates_seconds",
)


async def measure(options: argparse.Namespace, folder: Path, log: IO[bytes]) -> tuple[str, list[Figure]]:
    """The figures of the parts, one part after the other."""
    found: list[Figure] = []

    async def part(name: str, figures: Callable[[], Awaitable[list[Figure]]]) -> None:
        if name in options.only or name not in PARTS:
            began = time.perf_counter()
            found.extend(new := await figures())
            values = ", ".join(f"{figure.name} {figure.value}" for figure in new)  # a later failure loses nothing
            print(f"{name}, {time.perf_counter() - began:.0f} s: {values}", flush=True)

    real = await descriptors(options.photos, folder / "photos", log)
    dataset, queries, described = prepared(real, options.images, options.seed, options.dimensions)
    truth = Truth(dataset.vectors, queries.vectors)
    print(described)
    async with site(folder / "data", log) as here:
        calm_collector()  # the client shares the cores with those it measures
        await part("ingest", lambda: ingest.measure(here, dataset, options.rounds))
        await part("loading", lambda: loading.measure(here, dataset))
        await part("search", lambda: searches.measure(here, queries, truth, options.turns))
        await part("clients", lambda: concurrent_clients.measure(here, queries))
        await part("filters", lambda: filtered_search.measure(here, queries, truth))
        await part("naive", lambda: naive_sql.measure(here, queries))
        await part("duplicates", lambda: _duplicates(here, len(dataset)))
        await part("hand", lambda: by_hand.measure(here, queries, truth))
        await part("peers", lambda: comparison.measure(here, queries, truth, folder / "peers", options.peers))
    await part("sizes", lambda: project_sizes.measure(folder / "sizes", queries))
    await part("edge", lambda: qdrant_edge.measure(folder / "edge", queries, truth))
    await part("builds", lambda: _builds(options, real, folder / "builds", log))
    return described, found


async def _builds(options: argparse.Namespace, real: Descriptors, folder: Path, log: IO[bytes]) -> list[Figure]:
    seeds = range(options.seed, options.seed + options.builds)
    sizes = [size for size in options.sizes if size < options.images]
    return await builds.measure(real, folder, log, images=options.images, seeds=seeds, sizes=sizes)


async def _duplicates(here: Site, images: int) -> list[Figure]:
    seconds = await duplicates.measure(here.database, PROJECT, images)
    return [Figure("duplicates_seconds", seconds, f"all clusters of the {images:,}, made here, without the RPC")]


def parts_of(text: str) -> list[str]:
    """The parts that were asked for."""
    return _some_of(PARTS, text)


def _some_of(known: Sequence[str], text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := set(chosen) - set(known):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}; choose from {','.join(known)}")
    return chosen


def numbers(text: str) -> list[int]:
    """Numbers with commas between them."""
    return [int(number) for number in text.split(",")]


def peers_of(text: str) -> list[str]:
    """The peers that were asked for."""
    return _some_of(comparison.PEERS, text)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimensions", type=int, help="of all vectors: 1 to 4,000; left out, those of VGG16")
    parser.add_argument("--images", type=int, default=100_000, help="how many are indexed; up to 1,000,000 were tried")
    parser.add_argument("--photos", type=Path, help="folder of image files to fit the model to, beside the demo's")
    parser.add_argument("--only", type=parts_of, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3, help="how often IndexImages and COPY take turns")
    parser.add_argument("--turns", type=int, default=40, help="how often Search and its SQL take turns of 20 searches")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the drawn vectors and their order; builds count on from it"
    )
    parser.add_argument("--builds", type=int, default=5, help="how many projects of --images are built, each of a seed")
    parser.add_argument("--sizes", type=numbers, default=builds.SIZES, help="of smaller projects, with commas")
    parser.add_argument("--peers", type=peers_of, default=list(comparison.PEERS), help="some of the peers")
    parser.add_argument("--log", type=Path, help="file for what the servers write; left out, it is thrown away")
    return parser.parse_args(given)


def main() -> None:
    """Measure, print a table, then JSON."""
    options = arguments()
    described, figures = run(partial(measure, options), options.log)
    show(described, NAMES, figures)


if __name__ == "__main__":
    main()
