"""How much the embedder's memory grows over many images of all kinds, good and bad, and how much it is in between.

What it takes in between are files that wait, pixels, and what the C library has not given back yet: docs/figures.md has
the sum. With an eighth of the room for pixels, it is measured once more. What grows while it works is the cache, until
that is full: answers to images that nobody has sent before.
"""

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from lookalike.processes import running
from lookalike_embedder.config import Config
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
        peak = _peak(process)
    on = (
        f"{setting.mixed:,} images in {seconds:.0f} s after {warm_up:,} of warm-up: JPEG, PNG, WebP, GIF, TIFF, BMP in"
        f" several modes and sizes, 1 % of 12 megapixels, {refused:,} refused; no model (its memory is constant), no"
        f" cache; {before / _MEGABYTE:.0f} to {after / _MEGABYTE:.0f} MB"
    )
    return [
        Figure("rss_growth_mb", (after - before) / _MEGABYTE, on, most=50),
        Figure("rss_peak_mb", (peak - before) / _MEGABYTE, "the most in between, over what it was before"),
        await _peak_in_less_room(setting),
        await _growth_of_cache(setting),
    ]


async def _peak_in_less_room(setting: Setting) -> Figure:
    """The most with less room for pixels, over fewer images: a peak needs some that are large at once."""
    pixels, count = Config.max_decoding_pixels // 8, setting.mixed // 5
    arguments = ["--decode", "real", "--decoding-pixels", f"{pixels}"]
    async with running("tests.bench.null_model", arguments, setting.log) as server:
        process = psutil.Process(server.process.pid)
        before = await _settled(process)
        await _send(server.address, itertools.islice(mixture(setting.jpegs, setting.further), count))
        on = f"{count:,} images with --max-decoding-pixels {pixels:,}, over what it was at the start"
        return Figure("rss_peak_in_less_room_mb", (_peak(process) - before) / _MEGABYTE, on)


async def _growth_of_cache(setting: Setting) -> Figure:
    """What a full cache holds, for each of its answers; images beyond those add nothing."""
    cached = Config.cache_size
    arguments = ["--decode", "none", "--cached", f"{cached}"]
    async with running("tests.bench.null_model", arguments, setting.log) as server:
        process = psutil.Process(server.process.pid)
        rounds = [await _settled(process)]
        for number in range(2):
            await _send(server.address, _unseen(setting.jpegs[0], number, cached))
            rounds.append(await _settled(process))
    first, second = rounds[1] - rounds[0], rounds[2] - rounds[1]
    on = f"{first / _MEGABYTE:.0f} MB for {cached:,} images, and {second / _MEGABYTE:+.0f} MB for as many more"
    return Figure("rss_kib_per_cached_answer", first / cached / 1024, on, most=4)


def _unseen(jpeg: bytes, part: int, count: int) -> Iterator[bytes]:
    return (jpeg + f"{part} {number}".encode() for number in range(count))


def _peak(process: psutil.Process) -> int:
    """The most resident bytes so far."""
    [line] = [line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmHWM" in line]
    return int(line.split()[1]) * 1024


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
