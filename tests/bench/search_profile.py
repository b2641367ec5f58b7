"""Where the processor time of a Search goes, in the searcher: `python -m tests.bench.search_profile`.

A real PostgreSQL, a real searcher as a process, and the same searcher's code once more in this process under cProfile.
What cProfile itself costs is spread over the parts by their share. It needs the extra `bench`, and no photos: vectors
are drawn at random, in few dimensions, so that the index is easy to calibrate.
"""

import argparse
import asyncio
import cProfile
import pstats
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
import uvloop

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.config import Config
from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.database import pool
from lookalike_searcher.feedback.impressions import Impressions
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects.project import Limits
from lookalike_searcher.rpc.search_handler import Searching
from lookalike_searcher.search.limits import Rates
from lookalike_searcher.search.read_routing import Reads
from lookalike_searcher.search.recall import Recall
from lookalike_searcher.search.verification import Verifier
from lookalike_serving.server import calm_collector
from tests.bench.dataset import Dataset
from tests.bench.loading import measure as load
from tests.bench.searcher_process import Site, site
from tests.bench.searches import Queries
from tests.bench.synthetic_vectors import Vectors

_QUERIES: Final = 400
_ROUNDS: Final = 5
_FLAGS: Final = ("--exact-threshold", "1000", "--build-patience", "1", "--recall-sample", "0")
_PARTS: Final = {
    "asyncpg/": "asyncpg",
    "lookalike_searcher/rpc/parse": "parse the request",
    "lookalike_searcher/validation": "parse the request",
    "lookalike_searcher/rpc/page_token": "page token",
    "lookalike_searcher/rpc/": "answer",
    "lookalike_searcher/database/halfvec": "parse the request",
    "lookalike_searcher/database": "transaction, pool",
    "lookalike_searcher/projects": "known project",
    "lookalike_searcher/search/hit": "rows to hits",
    "lookalike_searcher/images": "rows to hits",
    "lookalike_searcher/": "ranking: statement, arguments, depth",
    "prometheus_client": "metrics",
    "contextlib": "transaction, pool",
    "asyncio": "tasks, timeouts",
    "json": "JSON: labels, page token",
    "_message.Message": "protobuf",
    "_upb": "protobuf",
}
"""The part that a function belongs to, by what its file's path or its name holds; the first that fits."""


def drawn(count: int, rng: np.random.Generator) -> Vectors:
    """Vectors of length 1, without negative parts, near a plane of 24 dimensions."""
    raw = np.maximum(rng.normal(size=(count, 24)) @ np.random.default_rng(0).normal(size=(24, 512)), 0)
    vectors: Vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    return vectors


def part_of(place: tuple[str, int, str]) -> str:
    """The part of a function, given as pstats does."""
    name = f"{place[0]}:{place[2]}"
    return next((part for text, part in _PARTS.items() if text in name), "numpy, other built-in functions")


async def of_process(here: Site, requests: list[wire.SearchRequest]) -> float:
    """Processor seconds of the searcher's process for a search, all in all."""
    seconds = []
    for _ in range(_ROUNDS):
        before = here.cpu()[1]
        for request in requests:
            await here.stub.Search(request)
        seconds.append((here.cpu()[1] - before) / len(requests))
    return float(np.median(seconds[1:]))


async def of_handler(url: str, requests: list[wire.SearchRequest]) -> tuple[float, Counter[str]]:
    """Processor seconds of the handler for a search in this process, and how cProfile spreads them."""
    metrics, seconds, profile = Metrics(), [], cProfile.Profile()
    async with pool.connect(url, pool_size=4, command_timeout=60, metrics=metrics) as database:
        reads, recall = Reads(database, metrics), Recall(database, metrics, share=0, target=0.99)
        searching = Searching(
            reads,
            Rates(Limits()),
            recall,
            Impressions(database),
            metrics,
            1.0,
            Config.exact_threshold,
            Verifier(ComparisonThreads(1), metrics),
        )

        async def ask() -> None:
            for request in requests:
                await searching.answer(request)

        calm_collector()
        for _ in range(_ROUNDS):
            before = time.process_time()
            await ask()
            seconds.append((time.process_time() - before) / len(requests))
        with profile:
            await ask()
    shares: Counter[str] = Counter()
    stats: Any = pstats.Stats(profile)
    for place, (_, _, own, _, _) in stats.stats.items():
        shares[part_of(place)] += own
    return float(np.median(seconds[1:])), shares


async def main(images: int, folder: Path) -> None:
    """Fill a project, search it, and print a table."""
    rng = np.random.default_rng(1)
    dataset = Dataset.of(drawn(images, rng), rng.permutation(images), "drawn-512", rng)
    with (folder / "log").open("wb") as log:
        async with site(folder / "data", log, _FLAGS) as here:
            await load(here, dataset)
            requests = Queries(drawn(_QUERIES, rng), dataset).requests()
            whole = await of_process(here, requests)
            handler, shares = await of_handler(here.url, requests)
    print(f"{images:,} images; a search for 10 takes {whole * 1e6:,.0f} µs of the searcher's processor, of which")
    print(f"{(whole - handler) * 1e6:8,.0f} µs  gRPC and the interceptor: the rest of the process")
    total = sum(shares.values())
    for part, share in shares.most_common():
        print(f"{handler * 1e6 * share / total:8,.0f} µs  {part}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000, help="how many are indexed")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="lookalike-profile-") as scratch,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(main(given.images, Path(scratch)))
