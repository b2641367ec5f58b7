"""The gateway, attacked: `python -m tests.bench.attack.http` prints JSON.

`lookalike http` runs as a process, a searcher and an embedder behind it, with the limits that it has when nobody says
otherwise. Strangers on loopback flood it with 100 MB each of header lines, URL, trailers and extensions, and hold 300
connections for a minute. Meanwhile others ask as usual, from the same address.
"""

import asyncio
import json
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import psutil

from lookalike import Client, Item
from lookalike.processes import running
from tests.bench.attack import socket_attacks
from tests.bench.gateway import Gateway, gateway
from tests.bench.latency import milliseconds
from tests.pictures import jpeg

_MB: Final = 1_000_000
_FLOOD: Final = 100 * _MB
_HELD: Final = 300
_SECONDS: Final = 60.0
_CALLERS: Final = 3
_PROJECT: Final = "bench"


@dataclass
class _Honest:
    """Those who ask as usual: how often, and what was not answered; and the most memory that was held meanwhile."""

    answered: int = 0
    lost: list[str] = field(default_factory=list)
    memory: int = 0


def measure() -> dict[str, float]:
    """Attack, and tell what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> dict[str, float]:
    async with _served(folder) as served:
        address = _address(served)
        loop, honest = asyncio.get_running_loop(), _Honest()
        process = psutil.Process(served.pid)
        with ProcessPoolExecutor(2, get_context("spawn")) as others:
            async with _asking(served, _Honest()) as quiet:  # until all is warm
                await asyncio.sleep(5)
            async with _asking(served, honest) as waits, _watching(process, honest):
                before = process.memory_info().rss
                await loop.run_in_executor(others, socket_attacks.flood, address, _FLOOD)
                grown = honest.memory - before
                held = await loop.run_in_executor(others, socket_attacks.hold, address, _HELD, _SECONDS)
    for lost in honest.lost[:5]:
        print("lost:", lost)
    return {
        "head_flood_memory_mb": round(grown / _MB, 1),
        "held_connections_after_60s": held,
        "http_health_wait_ms_under_attack": round(milliseconds(waits, 0.99), 1),
        "http_health_wait_ms_at_most": round(milliseconds(waits, 1), 1),
        "http_health_wait_ms_before": round(milliseconds(quiet, 0.99), 1),
        "http_answers_lost_of_honest_callers": len(honest.lost),
        "http_answers_of_honest_callers": honest.answered,
    }


def _address(served: Gateway) -> socket_attacks.Address:
    parts = urlsplit(served.url)
    return parts.hostname or "", parts.port or 0


@asynccontextmanager
async def _served(folder: Path) -> AsyncIterator[Gateway]:
    """The gateway, in front of a project with some photos."""
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "servers.log").open("wb"))
        data = ["--port", "0", "--data-dir", str(folder / "data"), "--database-url", ""]
        searcher = await stack.enter_async_context(running("lookalike_searcher", data, log))
        arguments = ["--decode", "none"]
        embedder = await stack.enter_async_context(running("tests.bench.null_model", arguments, log))
        client = await stack.enter_async_context(Client(embedder.address, searcher.address))
        await client.create_project(_PROJECT)
        items = [Item(jpeg(64 + number), f"https://shop.example/{number}") for number in range(20)]
        async for outcome in client.index(_PROJECT, items):
            if outcome.error:
                raise outcome.error
        yield await stack.enter_async_context(gateway(embedder.address, searcher.address, log))


@asynccontextmanager
async def _asking(served: Gateway, honest: _Honest) -> AsyncIterator[list[float]]:
    """Some search with a photo, some on new connections each time, and one asks for health, until the block ends.

    Yields the seconds that health takes; they are there after the block.
    """
    waits: list[float] = []
    ended = threading.Event()
    health = asyncio.create_task(asyncio.to_thread(socket_attacks.health, _address(served), ended))
    try:
        async with AsyncExitStack() as stack:
            kept = [await stack.enter_async_context(httpx.AsyncClient(base_url=served.url)) for _ in range(_CALLERS)]
            for client in kept:
                stack.push_async_callback(_ended, asyncio.create_task(_search(client, honest)))
            stack.push_async_callback(_ended, asyncio.create_task(_come_and_go(served, honest)))
            yield waits
    finally:
        ended.set()
        waits += await health


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})


async def _search(client: httpx.AsyncClient, honest: _Honest) -> None:
    photo, kind = jpeg(64), {"content-type": "image/jpeg"}
    while True:
        await _asked(client.post(f"/v1/projects/{_PROJECT}/image-search", content=photo, headers=kind), honest)
        await asyncio.sleep(0.05)


async def _come_and_go(served: Gateway, honest: _Honest) -> None:
    while True:
        async with httpx.AsyncClient(base_url=served.url) as client:
            await _asked(client.get(f"/v1/projects/{_PROJECT}"), honest)
        await asyncio.sleep(0.1)


async def _asked(call: Awaitable[httpx.Response], honest: _Honest) -> None:
    try:
        (await call).raise_for_status()
        honest.answered += 1
    except httpx.HTTPError as error:
        honest.lost.append(repr(error))


@asynccontextmanager
async def _watching(process: psutil.Process, honest: _Honest) -> AsyncIterator[None]:
    """Note the most memory that the process holds."""

    async def watch() -> None:
        while True:
            honest.memory = max(honest.memory, process.memory_info().rss)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        await _ended(task)


if __name__ == "__main__":
    print(json.dumps(measure()))
