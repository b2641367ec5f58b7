"""The gateway, measured: what HTTP costs beside the client library, and how large the page is.

The searcher and the embedder run as processes with the real model, the gateway as a third one. The same photos are
searched for over HTTP and with the library, by turns of a few, so that a noisy machine disturbs both alike; the
embedder's cache answers for photos that it has seen, in both. The last line is JSON.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from lookalike import Client, Item
from lookalike.processes import running
from lookalike_gateway import assets
from tests.bench.figures import Figure, show
from tests.bench.gateway import gateway
from tests.bench.latency import milliseconds, timed
from tests.bench.photos import catalogue

NAMES: Final = ("http_overhead_p50_ms", "page_kb")
_PROJECT: Final = "bench"
_TURN: Final = 10


async def measure(paths: Sequence[Path], folder: Path, rounds: int) -> list[Figure]:
    """Both parties, by turns; the second half of the rounds begins with the other one."""
    photos = [path.read_bytes() for path in paths]
    library: list[float] = []
    http: list[float] = []
    async with _running(paths, folder) as (client, http_client):

        async def by_library(photo: bytes) -> None:
            await client.search(_PROJECT, image=photo, limit=10)

        async def by_http(photo: bytes) -> None:
            answer = await http_client.post(
                f"/v1/projects/{_PROJECT}/image-search", content=photo, params={"limit": 10}
            )
            answer.raise_for_status()

        for photo in photos:  # connections, caches
            await by_library(photo)
            await by_http(photo)
        for number in range(rounds):
            turn = [photos[(number * _TURN + place) % len(photos)] for place in range(_TURN)]
            for ask, seconds in ((by_library, library), (by_http, http))[:: -1 if number % 2 else 1]:
                seconds += await timed(ask, turn)
    return [*_latencies(library, http), *_sizes()]


@asynccontextmanager
async def _running(paths: Sequence[Path], folder: Path) -> AsyncIterator[tuple[Client, httpx.AsyncClient]]:
    """The library's client, and one of the gateway, of a project with these photos."""
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "servers.log").open("wb"))
        arguments = ["--port", "0", "--data-dir", str(folder / "data"), "--database-url", ""]
        searcher = await stack.enter_async_context(running("lookalike_searcher", arguments, log))
        embedder = await stack.enter_async_context(running("lookalike_embedder", ["--port", "0"], log))
        client = await stack.enter_async_context(Client(embedder.address, searcher.address))
        await client.create_project(_PROJECT)
        async for outcome in client.index(_PROJECT, [Item(path, path.as_uri(), path.stem) for path in paths]):
            if outcome.error:
                raise outcome.error
        served = await stack.enter_async_context(gateway(embedder.address, searcher.address, log))
        kind = {"content-type": "application/octet-stream"}
        yield client, await stack.enter_async_context(httpx.AsyncClient(base_url=served.url, headers=kind))


def _latencies(library: Sequence[float], http: Sequence[float]) -> list[Figure]:
    p50, own = milliseconds(http, 0.5), milliseconds(library, 0.5)
    on = f"{len(http):,} searches with a photo, one after the other, by turns; httpx as the HTTP client"
    return [
        Figure("http_overhead_p50_ms", p50 - own, "HTTP over the client library's search of the same", most=5),
        Figure("http_p50_ms", p50, on),
        Figure("http_p99_ms", milliseconds(http, 0.99)),
        Figure("library_p50_ms", own, "the embedder has seen each photo before"),
        Figure("library_p99_ms", milliseconds(library, 0.99)),
    ]


def _sizes() -> list[Figure]:
    sizes = {name: len(data) / 1000 for name, data in assets.contents().items()}
    return [
        Figure("page_kb", sum(sizes.values()), f"{len(sizes)} files, as they are, without compression", most=60),
        *(Figure(f"files_kb.{name}", size) for name, size in sorted(sizes.items())),
    ]


def main() -> None:
    """Measure, print a table, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="folder of image files; left out, the demo's photos and copies")
    parser.add_argument("--most", type=int, default=100, help="most images")
    parser.add_argument("--rounds", type=int, default=60, help=f"of {_TURN} searches each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as scratch:
        paths = catalogue(options.photos, Path(scratch, "photos"), options.most)
        figures = asyncio.run(measure(paths, Path(scratch), options.rounds))
    show("The gateway", NAMES, figures)


if __name__ == "__main__":
    main()
