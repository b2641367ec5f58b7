"""Overload, measured: goodput, refusals, health, recovery, and indexing beside it, at several times the capacity.

Real processes with default settings (but without the embedder's cache), one server after the other: a searcher with a
PostgreSQL of its own, then an embedder with real weights and the photos that the demo ships. A generator in a process
of its own first sees what a server can do (a closed loop of eight clients), then asks for several times as much (an
open loop: calls begin when they are due, whatever became of those before). Nothing tries again.

The capacity is what this same generator is answered in the closed loop, under the same conditions. Both take turns,
and each overload is compared with the capacities before and after it. The generator has
the machine's last core for itself, in all phases, and the servers share the others: if it took what it needs of theirs,
several times as many calls would leave less of the server. How late it sent its calls is told with each phase, and a
warning is, where it was so late that it measured itself. The last line is JSON.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, get_args

from google.protobuf.message import Message

from lookalike._transport.channel import EMBEDDER, SEARCHER
from lookalike.demo.photos import shipped_photos
from lookalike.processes import running
from lookalike.signals import cancelled_when_terminated
from lookalike.v1 import embedder_pb2
from tests.bench import loading
from tests.bench.descriptors import descriptors
from tests.bench.drawn_dataset import prepared
from tests.bench.figures import Figure, show
from tests.bench.overload import cores
from tests.bench.overload.health_watch import watched
from tests.bench.overload.index_pace import images_for, index_pace
from tests.bench.overload.load import Load
from tests.bench.overload.overload import Server, overload
from tests.bench.overload.plan import Arrivals, Method, Plan
from tests.bench.photos import jpegs_of
from tests.bench.searcher_process import site
from tests.served_metrics import metrics_port

PARTS: Final = ("search", "index", "embed")
NAMES: Final = (
    "search_goodput_over_capacity",
    "search_ok_p99_over_deadline",
    "embed_goodput_over_capacity",
    "health_lost",
    "recovered_s",
    "index_pace_under_overload",
    "generator_late_ms",
)


@dataclass
class Found:
    """What all parts found."""

    figures: list[Figure]
    recovered: list[float]
    late_ms: list[float]
    health_lost: int = 0

    def all(self) -> list[Figure]:
        """Of each server, and of both."""
        return [
            *self.figures,
            Figure("health_lost", self.health_lost, "NOT_SERVING, or a broken watch, of each server", most=0),
            Figure("recovered_s", max(self.recovered), "until the median of 9 calls is within 1.5 of before", most=2),
            Figure("generator_late_ms", max(self.late_ms), "p99 of calls sent after they were due, the worst phase"),
        ]


async def measure(options: argparse.Namespace, scratch: Path, log: IO[bytes]) -> list[Figure]:
    """The figures of the parts, one part after the other."""
    found = Found([], [], [])
    if {"search", "index"} & set(options.only):
        await _searcher(options, scratch, log, found)
    if "embed" in options.only:
        await _embedder(options, scratch, log, found)
    return found.all()


async def _searcher(options: argparse.Namespace, scratch: Path, log: IO[bytes], found: Found) -> None:
    real = await descriptors(None, scratch / "photos", log)
    further = images_for(options.deadline + options.seconds) if "index" in options.only else 0
    dataset, queries, _ = prepared(real, options.images + further, options.seed)
    async with AsyncExitStack() as stack:
        with cores.of_servers():
            here = await stack.enter_async_context(site(scratch / "data", log))
        load = _load(options, "Search", here.address, queries.requests(), scratch / "searches")
        await loading.measure(here, dataset.first(options.images))
        async with watched(here.address, SEARCHER) as health:
            seen = await overload(load, Server("search", "searcher", here.metrics_port), options.factor, options.turns)
            found.figures += seen.figures
            found.recovered.append(seen.recovered)
            found.late_ms.append(seen.late_ms)
            if "index" in options.only:
                figures, late_ms = await index_pace(here, load, dataset, options.images, seen.capacity, options.factor)
                found.figures += figures
                found.late_ms.append(late_ms)
            found.health_lost += health.lost


async def _embedder(options: argparse.Namespace, scratch: Path, log: IO[bytes], found: Found) -> None:
    requests = [embedder_pb2.EmbedRequest(image=jpeg) for jpeg in jpegs_of(shipped_photos())]
    arguments = ["--port", "0", "--metrics-port", "0", "--cache-size", "0"]  # the cache would answer for the model
    async with AsyncExitStack() as stack:
        with cores.of_servers():
            server = await stack.enter_async_context(running("lookalike_embedder", arguments, log))
        load = _load(options, "Embed", server.address, requests, scratch / "embeds")
        async with watched(server.address, EMBEDDER) as health:
            seen = await overload(
                load, Server("embed", "embedder", metrics_port(server)), options.factor, options.turns
            )
            found.figures += seen.figures
            found.recovered.append(seen.recovered)
            found.late_ms.append(seen.late_ms)
            found.health_lost += health.lost


def _load(options: argparse.Namespace, method: Method, address: str, requests: Iterable[Message], folder: Path) -> Load:
    folder.mkdir()
    for number, request in enumerate(requests):
        (folder / f"{number:05}").write_bytes(request.SerializeToString())
    return Load(
        Plan(
            method=method,
            address=address,
            requests=str(folder),
            answers=f"{folder}.json",
            deadline=options.deadline,
            seed=options.seed,
            warm_up=0,
            seconds=options.seconds,
            arrivals=options.arrivals,
        )
    )


def parts_of(text: str) -> list[str]:
    """The parts that were asked for."""
    parts = text.split(",")
    if unknown := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}; choose from {','.join(PARTS)}")
    return parts


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000, help="stored before; searches go over these")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long a phase counts")
    parser.add_argument("--turns", type=int, default=3, help="how often capacity and overload are measured")
    parser.add_argument("--factor", type=float, default=4.0, help="times the capacity that is asked for")
    parser.add_argument("--deadline", type=float, default=2.0, help="seconds that a caller waits")
    parser.add_argument("--arrivals", choices=get_args(Arrivals), default="exponential", help="intervals of the calls")
    parser.add_argument("--only", type=parts_of, default=list(PARTS), help="some of search,index,embed; index searches")
    parser.add_argument("--seed", type=int, default=0, help="of the vectors, the calls and their intervals")
    parser.add_argument("--log", type=Path, help="file for what the servers write; left out, it is thrown away")
    return parser.parse_args(given)


def main() -> None:
    """Measure, print a table, then JSON."""
    options, began, (busy, *_) = arguments(), time.monotonic(), os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch:
        log_file = options.log or Path(scratch, "servers.log")
        with log_file.open("wb") as log:  # asyncio's own loop, as uvloop's forks disturb gRPC
            figures = asyncio.run(cancelled_when_terminated(measure(options, Path(scratch), log)))
    on = (
        f"{options.factor:g} times the capacity, deadlines of {options.deadline:g} s, phases of {options.seconds:g} s,"
        f" {options.arrivals} arrivals, {options.images:,} images, {cores.DESCRIBED}; the load average was {busy:.1f}"
        f" before; {time.monotonic() - began:.0f} s in all"
    )
    show(on, NAMES, figures)


if __name__ == "__main__":
    main()
