"""Load and soak: mixed searches, writes and bulk indexing for ten minutes, with restarts in their middle.

Real servers as processes with default settings: a searcher with its embedded PostgreSQL, an embedder with VGG16, the
gateway. Locust makes the interactive calls at random moments, whatever the answers (an open loop; latency is counted
from when a call was due); beside them `lookalike index` stores new photos as fast as it is let (a closed loop). Calls
are not retried, so that each failure is seen; `lookalike index` retries as it always does. The last line is JSON.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from lookalike.signals import cancelled_when_terminated
from tests.bench.figures import Figure, show
from tests.bench.photos import catalogue, jpegs_of
from tests.bench.soak import call_log, report
from tests.bench.soak.bulk import Bulk
from tests.bench.soak.generator_process import Generator
from tests.bench.soak.judgement import Judgement
from tests.bench.soak.memory import Memory
from tests.bench.soak.plan import Plan
from tests.bench.soak.restarts import Restart, restart_all
from tests.bench.soak.servers import Site, fill, site

NAMES: Final = ("unexpected_errors", "search_p99_ms", "rss_slope_mb_per_min", "recovered_after_restart_s")
_WARM_UP_SHARE: Final = 0.1
"""Of the time, left out of the memory of a process after each start."""


async def measure(options: argparse.Namespace, scratch: Path, logs: Path) -> list[Figure]:
    """Fill, load, restart; then the tables, and the figures."""
    photos = jpegs_of(catalogue(options.photos, scratch / "photos", options.most))
    async with site(scratch, logs) as here:
        plan = await _prepared(options, here, photos, scratch, logs)
        bulk, memory = Bulk(here, photos, scratch / "bulk"), Memory(here)
        generator = Generator(plan, logs / "locust.log")
        await bulk.run()  # a first one, so that all of it has been used before anything counts
        before = bulk.indexed
        restarts, seconds = await _loaded(here, generator, bulk, memory, options.seconds)
    judgement = Judgement([*call_log.read(Path(plan.ledger)), *bulk.runs[1:]], restarts)
    grown = memory.segments(options.seconds * _WARM_UP_SHARE)
    report.tell(judgement, restarts, grown, options.seconds)
    offered = (sum(row.calls for row in judgement.rows()) - len(bulk.runs) + 1) / options.seconds
    return [
        *report.calls(judgement),
        *report.memory(grown),
        Figure(
            "bulk_images_per_second", (bulk.indexed - before) / seconds, f"{len(bulk.runs) - 1} runs of lookalike index"
        ),
        Figure("calls_per_second", offered, "of the open loop, beside the bulk"),
        Figure("generator_cpu", generator.cpu_seconds / seconds, "cores that Locust took of those that are measured"),
    ]


async def _loaded(
    here: Site, generator: Generator, bulk: Bulk, memory: Memory, seconds: float
) -> tuple[list[Restart], float]:
    """All at once; the restarts, and the seconds until the last answer."""
    async with generator.running(), memory.watched():
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            restarting = group.create_task(restart_all(here, began, seconds))
            group.create_task(bulk.run_until(began + seconds))
            group.create_task(generator.finish())
        return restarting.result(), time.monotonic() - began


async def _prepared(
    options: argparse.Namespace, here: Site, photos: Sequence[bytes], scratch: Path, logs: Path
) -> Plan:
    space, queries = await fill(here, options.images)
    shown = scratch / "shown"
    shown.mkdir()
    for number, photo in enumerate(photos):
        (shown / f"{number:05}.jpg").write_bytes(photo)
    np.save(scratch / "queries.npy", queries)
    return Plan(
        embedder=here.embedder.address,
        searcher=here.searcher.address,
        gateway=here.gateway.url,
        space=space,
        images=options.images,
        queries=str(scratch / "queries.npy"),
        photos=str(shown),
        seconds=options.seconds,
        pace=options.pace,
        ledger=str(logs / "ledger.jsonl"),
    )


def main() -> None:
    """Measure, print tables, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="how long")
    parser.add_argument("--pace", type=float, default=1.0, help="times the interactive calls' rates")
    parser.add_argument("--images", type=int, default=12_000, help="stored before; from 10,000 on searched by an index")
    parser.add_argument("--photos", type=Path, help="folder of image files; left out, the demo's photos and copies")
    parser.add_argument("--most", type=int, default=200, help="most photos")
    parser.add_argument(
        "--logs", type=Path, help="folder for the servers' logs and all calls; left out, they are thrown away"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch:
        logs = options.logs or Path(scratch, "logs")
        logs.mkdir(parents=True, exist_ok=True)
        figures = asyncio.run(cancelled_when_terminated(measure(options, Path(scratch), logs)))
    on = f"{options.seconds:.0f} s of mixed load on {os.cpu_count()} cores, {options.images:,} images and growing"
    show(on, NAMES, figures)


if __name__ == "__main__":
    main()
