"""How long somebody waits who asks for one image: on an idle embedder, and while bulk work saturates it."""

import asyncio
import random
import time
from collections.abc import Iterable

import grpc
import numpy as np

from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub
from tests.bench.bulk_load import Load
from tests.bench.figures import Figure
from tests.bench.setting import Setting

_STREAMS = 4
_IDLE_CALLS = 40
_MEAN_GAP_SECONDS = 0.25
_ALONE_SECONDS = 5.0


async def measure(setting: Setting) -> list[Figure]:
    """Idle calls one after the other; then calls at random moments beside four saturating streams."""
    photos = [wire.EmbedRequest(image=data) for data in setting.jpegs]
    calls = [photos[number % len(photos)] for number in range(_IDLE_CALLS + setting.calls)]
    async with setting.embedder() as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = EmbedderServiceStub(channel)
        await _latencies(stub, calls[:3], 0.0)
        idle = await _latencies(stub, calls[:_IDLE_CALLS], 0.0)
        async with Load(server.address, setting.endless(), _STREAMS) as load:
            alone = await load.pace(_ALONE_SECONDS)
            before, started = load.answers, time.perf_counter()
            busy = await _latencies(stub, calls[_IDLE_CALLS:], _MEAN_GAP_SECONDS)
            beside = (load.answers - before) / (time.perf_counter() - started)
    return _figures(idle, busy, alone, beside)


async def _latencies(stub: EmbedderServiceStub, calls: Iterable[wire.EmbedRequest], mean_gap: float) -> list[float]:
    """Seconds of each call, one at a time, after a gap of random length."""
    gaps, found = random.Random(0), []  # noqa: S311 - no secret
    for call in calls:
        if mean_gap:
            await asyncio.sleep(gaps.expovariate(1 / mean_gap))
        started = time.perf_counter()
        await stub.Embed(call)
        found.append(time.perf_counter() - started)
    return found


def _figures(idle: list[float], busy: list[float], alone: float, beside: float) -> list[Figure]:
    least = float(np.median(idle))
    on = f"{len(busy)} calls, each {_MEAN_GAP_SECONDS:g} s after the last on average, beside {_STREAMS} bulk streams"
    return [
        Figure("interactive_p99_over_idle_p50", float(np.quantile(busy, 0.99)) / least, on, most=3.0),
        Figure("interactive_idle_p50_ms", least * 1000, f"{len(idle)} calls, one after the other"),
        Figure("interactive_busy_p50_ms", float(np.median(busy)) * 1000, "beside bulk work"),
        Figure("interactive_busy_p99_ms", float(np.quantile(busy, 0.99)) * 1000, "beside bulk work"),
        Figure("bulk_beside_interactive", beside / alone, f"bulk goes on at {beside:.1f} of {alone:.1f} images/s"),
    ]
