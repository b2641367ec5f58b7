"""Batch indexing, measured: beside the bare model, with a model that costs nothing, again, and its memory.

Real servers as processes, and the real command line as the indexer, so that all it does counts. The null model's images
are files of the size of small photos, each with bytes of its own, which the embedder does not look at. The last line is
JSON.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from lookalike import Client, Item
from lookalike.indexing import Watch
from lookalike.processes import running
from tests.bench import bare_model
from tests.bench.end_to_end import EMBEDDER, index_pace
from tests.bench.figures import Figure, show
from tests.bench.photos import catalogue
from tests.bench.setting import load_model

PARTS: Final = ("null", "dedup", "model")
NAMES: Final = (
    "pipeline_efficiency",
    "null_model_images_per_second",
    "peak_rss_mb_1k",
    "peak_rss_mb_50k",
    "resume_images_per_second",
    "dedup_embeds_saved",
)
_FILE_BYTES: Final = 20_000
_FEW, _MANY = 1_000, 50_000
_UNIQUE, _SHOWN_BY = 1_000, 4


@dataclass(frozen=True)
class Run:
    """A run of `lookalike index`: its last event, and the most memory that its process held, in MB."""

    report: dict[str, Any]
    peak_mb: float

    @property
    def pace(self) -> float:
        """Images a second, from the beginning of the run to its last acknowledgement."""
        report = self.report
        return float(sum(report[status] for status in ("indexed", "unchanged", "failed")) / report["seconds"])


@asynccontextmanager
async def servers(folder: Path, log: IO[bytes], embedder: str, arguments: Sequence[str]) -> AsyncIterator[list[str]]:
    """An embedder and a searcher with a database of their own; the options that name them."""
    async with AsyncExitStack() as stack:
        searching = ["--port", "0", "--metrics-port", "0", "--data-dir", str(folder), "--database-url", ""]
        searcher = await stack.enter_async_context(running("lookalike_searcher", searching, log))
        embedding = await stack.enter_async_context(running(embedder, arguments, log))
        yield ["--embedder", embedding.address, "--searcher", searcher.address]


async def indexed(project: str, source: Path, options: Sequence[str], log: IO[bytes]) -> Run:
    """Run the command line."""
    command = [
        "-c",
        "from lookalike.cli import main; main()",
        "index",
        project,
        str(source),
        "--create",
        "--json",
        *options,
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=log, cwd=source.parent
    )
    assert process.stdout is not None
    output = asyncio.create_task(process.stdout.read())
    peak = 0.0
    while not output.done():
        peak = max(peak, _peak_mb(process.pid))
        await asyncio.sleep(0.05)
    if await process.wait():
        raise SystemExit(f"lookalike index failed: {output.result().decode()[-2000:]}")
    return Run(json.loads(output.result().decode().splitlines()[-1]), peak)


def _peak_mb(pid: int) -> float:
    """The kernel's own high-water mark, as long as the process is there."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    marks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return float(marks[0]) / 1024 if marks else 0.0


def files(folder: Path, count: int) -> Path:
    """So many files, in folders of a thousand."""
    noise = random.Random(0).randbytes(_FILE_BYTES)  # noqa: S311 - no secret
    for number in range(count):
        path = folder / f"{number // 1000:03}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(8, "big") + noise[8:])
    return folder


async def null(scratch: Path, log: IO[bytes], rounds: int) -> list[Figure]:
    """The pipeline around a null model: its pace, its memory, and a second run over what has not changed."""
    few, many = files(scratch / "few", _FEW), files(scratch / "many", _MANY)
    async with servers(scratch / "null", log, "tests.bench.null_model", ["--decode", "none"]) as options:
        small = await indexed("few", few, options, log)
        runs = [await indexed(f"many-{number}", many, options, log) for number in range(rounds)]
        again = [await indexed("many-0", many, options, log) for _ in range(rounds)]
    if any(run.report["unchanged"] != _MANY for run in again):
        raise SystemExit("a second run found changes")
    pace = statistics.median(run.pace for run in runs)
    resumed = statistics.median(run.pace for run in again)
    large = max(run.peak_mb for run in (*runs, *again))
    on = f"{_MANY:,} files of {_FILE_BYTES // 1000} kB; {rounds} runs, the median"
    return [
        Figure("null_model_images_per_second", pace, on, least=1500),
        Figure("resume_images_per_second", resumed, "the same again: nothing has changed", least=20_000),
        Figure("peak_rss_mb_1k", small.peak_mb, f"of the indexer's process; {_FEW:,} files"),
        Figure("peak_rss_mb_50k", large, "both within 60 MB of each other", most=small.peak_mb + 60),
    ]


async def dedup(scratch: Path, log: IO[bytes]) -> list[Figure]:
    """Images that several products show, in random order."""
    paths = sorted(files(scratch / "shown", _UNIQUE).rglob("*.jpg"))
    items = [Item(path, f"{path.as_uri()}?{number}", f"p{number}") for path in paths for number in range(_SHOWN_BY)]
    random.Random(0).shuffle(items)  # noqa: S311 - no secret
    watch = Watch()
    async with (
        servers(scratch / "dedup", log, "tests.bench.null_model", ["--decode", "none"]) as (_, embedder, _, searcher),
        Client(embedder, searcher) as client,
    ):
        await client.create_project("dedup")
        async for outcome in client.index("dedup", items, watch=watch):
            if outcome.error:
                raise outcome.error
    saved = len(items) - watch.embedded
    on = f"{len(items):,} references to {_UNIQUE:,} images, shuffled; embedded {watch.embedded:,}"
    return [Figure("dedup_embeds_saved", saved, on, least=len(items) - _UNIQUE)]


async def with_model(scratch: Path, log: IO[bytes], photos: Path | None, most: int, rounds: int) -> list[Figure]:
    """The whole path with the real model, by turns with the bare forward loop."""
    paths = catalogue(photos, scratch / "photos", most)
    ratios: list[float] = []
    async with (
        servers(scratch / "model", log, "lookalike_embedder", EMBEDDER) as (_, embedder, _, searcher),
        Client(embedder, searcher) as client,
    ):
        served = await client.model()
        loaded = load_model(served.device, served.precision)
        best = bare_model.best_size(loaded)
        for number in range(rounds):
            before = bare_model.pace(loaded, best, 5)
            pace = await index_pace(client, f"round-{number}", paths)
            both = (before + bare_model.pace(loaded, best, 5)) / 2
            ratios.append(pace / both)
            print(f"round {number + 1}: bare {both:.1f}, indexed {pace:.1f} images/s", flush=True)
    size = statistics.median(path.stat().st_size for path in paths)
    on = f"{len(paths)} images, median {size / 1000:.0f} kB; {rounds} rounds, each between two runs of the bare loop"
    return [Figure("pipeline_efficiency", statistics.median(ratios), on, least=0.93)]


async def measure(options: argparse.Namespace, scratch: Path, log: IO[bytes]) -> list[Figure]:
    """The parts that are asked for."""
    parts = options.only.split(",") if options.only else PARTS
    found: list[Figure] = []
    if "model" in parts:
        found += await with_model(scratch, log, options.photos, options.most, options.rounds)
    if "null" in parts:
        found += await null(scratch, log, options.rounds)
    if "dedup" in parts:
        found += await dedup(scratch, log)
    return found


def main() -> None:
    """Measure, print a table, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help=f"some of {','.join(PARTS)}")
    parser.add_argument("--photos", type=Path, help="folder of image files; left out, the demo's photos and copies")
    parser.add_argument("--most", type=int, default=300, help="most photos per round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch, Path(scratch, "log").open("wb") as log:
        began = time.monotonic()
        found = asyncio.run(measure(options, Path(scratch), log))
    show(f"batch indexing on {os.cpu_count()} cores, {time.monotonic() - began:.0f} s", NAMES, found)


if __name__ == "__main__":
    main()
