"""The whole path, measured: how much of the bare model's pace indexing keeps, and how long a query takes.

Real servers as processes, real weights, real photos: those of the demo with altered copies, or any folder (--photos).
Indexing and the bare forward loop take turns, so that a noisy machine disturbs both alike; the ratio is the median over
the rounds. The bare loop runs the same trunk in the same precision on tensors that lie ready, at its own best batch
size. The last line is JSON.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lookalike import Client, Item, Status
from lookalike.processes import running
from tests.bench import bare_model
from tests.bench.latency import milliseconds
from tests.bench.photos import catalogue
from tests.bench.setting import load_model

EMBEDDER = ["--port", "0", "--metrics-port", "0", "--cache-size", "0"]
"""Without its cache, which would answer for it from the second round on."""

console = Console(width=110, highlight=False)


@dataclass
class Figures:
    """What was measured: images per second by round, and seconds by query."""

    bare: list[float] = field(default_factory=list)
    indexed: list[float] = field(default_factory=list)
    embed: list[float] = field(default_factory=list)
    search: list[float] = field(default_factory=list)

    def efficiency(self) -> float:
        """Indexing's pace over the bare loop's, the median over the rounds."""
        return statistics.median(done / bare for done, bare in zip(self.indexed, self.bare, strict=True))


async def index_pace(client: Client, project: str, paths: list[Path]) -> float:
    """Images per second from files to acknowledgements, into a new project."""
    await client.create_project(project)
    started = time.perf_counter()
    async for outcome in client.index(project, [Item(image=path, uri=path.as_uri()) for path in paths]):
        if outcome.status is not Status.INDEXED:
            raise SystemExit(f"{outcome.uri}: {outcome.status} {outcome.error or ''}")
    return len(paths) / (time.perf_counter() - started)


async def query(client: Client, project: str, paths: list[Path], figures: Figures) -> None:
    """Search with one photo after the other, on idle servers."""
    for path in paths:
        result = await client.search(project, image=path, limit=10)
        figures.embed.append(result.embed_seconds)
        figures.search.append(result.search_seconds)


async def measure(paths: list[Path], folder: Path, rounds: int, seconds: float) -> tuple[Figures, str]:
    """Run the rounds; the figures, and what the embedder says of itself."""
    figures = Figures()
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "servers.log").open("wb"))
        arguments = ["--port", "0", "--data-dir", str(folder / "data"), "--database-url", ""]
        searcher = await stack.enter_async_context(running("lookalike_searcher", arguments, log))
        embedder = await stack.enter_async_context(running("lookalike_embedder", EMBEDDER, log))
        client = await stack.enter_async_context(Client(embedder.address, searcher.address))
        served = await client.model()
        loaded = load_model(served.device, served.precision)
        best = bare_model.best_size(loaded)
        for number in range(rounds):
            figures.bare.append(bare_model.pace(loaded, best, seconds))
            figures.indexed.append(await index_pace(client, f"round-{number}", paths))
            console.print(
                f"round {number + 1}: bare {figures.bare[-1]:.1f}, indexed {figures.indexed[-1]:.1f} images/s"
            )
        await query(client, "round-0", (paths * 3)[:100], figures)
        return figures, f"{embedder.description}; bare loop in batches of {best}"


def main() -> None:
    """Measure, print a table, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="folder of image files; left out, the demo's photos and copies")
    parser.add_argument("--most", type=int, default=400, help="most images per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of the bare loop in each round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch:
        paths = catalogue(options.photos, Path(scratch, "photos"), options.most)
        size = statistics.median(path.stat().st_size for path in paths)
        figures, setting = asyncio.run(measure(paths, Path(scratch), options.rounds, options.seconds))
    table = Table(
        title=f"{len(paths)} images (median {size / 1000:.0f} kB) per round; {setting}",
        title_justify="left",
        min_width=100,
    )
    for title in ("", "median", "min", "max"):
        table.add_column(title, justify="left" if not title else "right")
    for name, values in (
        ("bare forward loop, images/s", figures.bare),
        ("indexed end to end, images/s", figures.indexed),
    ):
        table.add_row(name, *(f"{pick(values):.1f}" for pick in (statistics.median, min, max)))
    table.add_row("indexed over bare", f"{figures.efficiency():.3f}")
    console.print(table)
    latency = Table(title=f"{len(figures.embed)} queries, one after the other", title_justify="left", min_width=100)
    for title in ("", "p50 ms", "p95 ms"):
        latency.add_column(title, justify="left" if not title else "right")
    total = [embed + search for embed, search in zip(figures.embed, figures.search, strict=True)]
    for name, values in (("embed", figures.embed), ("search", figures.search), ("query", total)):
        latency.add_row(name, *(f"{milliseconds(values, quantile):.1f}" for quantile in (0.5, 0.95)))
    console.print(latency)
    print(
        json.dumps(
            {
                "index_efficiency": round(figures.efficiency(), 3),
                "indexed_images_per_second": round(statistics.median(figures.indexed), 1),
                "bare_images_per_second": round(statistics.median(figures.bare), 1),
                "query_p50_ms": round(milliseconds(total, 0.5), 2),
                "query_p95_ms": round(milliseconds(total, 0.95), 2),
                "embed_p50_ms": round(milliseconds(figures.embed, 0.5), 2),
                "search_p50_ms": round(milliseconds(figures.search, 0.5), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
