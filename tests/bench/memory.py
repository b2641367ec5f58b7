"""How much the embedder's memory grows over many images of all kinds, good and bad."""

import asyncio
import itertools
import time
from collections.abc import Iterable

import psutil

from lookalike.processes import running
from tests.bench.bulk_load import Load, messages
from tests.bench.figures import Figure
from tests.bench.mixed_files import mixture
from tests.bench.setting import Setting

_STREAMS = 4
_WARM_UP_SHARE = 0.15
_LOOK_SECONDS = 3.0
_SETTLED_BYTES = 1_000_000
_CHUNK = 500
_MEGABYTE = 1_000_000


async def measure(setting: Setting) -> list[Figure]:
    """Resident memory after a warm-up and after all images, each time when the traffic has settled."""
    images = mixture(setting.jpegs, setting.further)
    async with running("tests.bench.null_model", ["--decode", "real"], setting.log) as server:
        process = psutil.Process(server.process.pid)
        warm_up = int(setting.mixed * _WARM_UP_SHARE)
        await _send(server.address, itertools.islice(images, warm_up))
        before, started = await _settled(process), time.perf_counter()
        refused = await _send(server.address, itertools.islice(images, setting.mixed))
        seconds, after = time.perf_counter() - started, await _settled(process)
    on = (
        f"{setting.mixed:,} images in {seconds:.0f} s after {warm_up:,} of warm-up: JPEG, PNG, WebP, GIF, TIFF, BMP in"
        f" several modes and sizes, 1 % of 12 megapixels, {refused:,} refused; no model (its memory is constant), no"
        f" cache; {before / _MEGABYTE:.0f} to {after / _MEGABYTE:.0f} MB"
    )
    return [Figure("rss_growth_mb", (after - before) / _MEGABYTE, on, most=50)]


async def _send(address: str, images: Iterable[bytes]) -> int:
    """Send all; how many were refused."""
    requests = (messages([image])[0] for image in images)
    async with Load(address, requests, _STREAMS) as load:
        await load.finish()
    return load.failures


async def _settled(process: psutil.Process) -> int:
    """Resident bytes, as soon as they stay the same; the embedder gives back every two seconds what it has kept."""
    while True:
        before = int(process.memory_info().rss)
        await asyncio.sleep(_LOOK_SECONDS)
        after = int(process.memory_info().rss)
        if abs(after - before) < _SETTLED_BYTES:
            return after
