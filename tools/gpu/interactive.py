"""Measure the latency of a single image: on an idle embedder, and on one that bulk work saturates."""

import asyncio
import random
import time
from typing import Any, Final

import numpy as np

from tools.gpu.record import Record
from tools.gpu.served import embedder, load_on
from tools.gpu.setting import Setting
from tools.gpu.timing import watched

_CALLS: Final = 400
_SHORT_CALLS: Final = 3
_MEAN_GAP_SECONDS: Final = 0.02


def run(setting: Setting, record: Record) -> None:
    """Measure both; the load comes from other processes, so that it does not slow the measuring one."""
    from tools.gpu.rpc import messages

    calls = _SHORT_CALLS if setting.short else _CALLS
    with embedder(setting) as (address, _, _server), load_on_later(setting, address, messages(setting)) as begin:
        idle, busy, loaded = asyncio.run(_measure(setting, address, calls, begin))
    idle_p50, p99 = float(np.median(idle)), float(np.quantile(busy, 0.99))
    record.figure("interactive_idle_p50_ms", idle_p50 * 1e3, f"{len(idle)} calls, one after the other")
    record.figure("interactive_idle_p99_ms", float(np.quantile(idle, 0.99)) * 1e3, "the same")
    record.figure("interactive_busy_p50_ms", float(np.median(busy)) * 1e3, f"beside bulk work; {loaded}")
    on = f"{calls} calls, each {_MEAN_GAP_SECONDS * 1e3:g} ms after the last on average, beside saturating bulk work"
    record.figure("gpu_interactive_p99_ms", p99 * 1e3, on)
    record.figure("gpu_interactive_p99_over_idle_p50", p99 / idle_p50, "the same", most=None if setting.short else 3.0)


def load_on_later(setting: Setting, address: str, messages: list[bytes]) -> Any:  # noqa: ANN401 - a context manager
    """Return processes that make load once they are told to. They must be forked before this process uses gRPC."""
    return load_on(address, messages, 1 if setting.short else 2, waits=True)


async def _measure(
    setting: Setting,
    address: str,
    calls: int,
    load: Any,  # noqa: ANN401 - of `served`
) -> tuple[list[float], list[float], str]:
    import grpc

    from lookalike.v1 import embedder_pb2 as wire
    from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub

    photos = [wire.EmbedRequest(image=setting.jpegs[number % len(setting.jpegs)]) for number in range(calls)]
    async with grpc.aio.insecure_channel(address) as channel:
        stub = EmbedderServiceStub(channel)
        await _latencies(stub, photos[:3], 0.0)
        idle = await _latencies(stub, photos[: max(3, calls // 2)], 0.0)
        load.begin()
        await load.pace(setting.seconds / 2)
        before, started = load.answers(), time.perf_counter()
        with watched(setting.device) as gpu_busy:
            busy = await _latencies(stub, photos, _MEAN_GAP_SECONDS)
        rate = (load.answers() - before) / (time.perf_counter() - started)
    return idle, busy, f"bulk work goes on at {rate:.0f} images/s; {gpu_busy}"


async def _latencies(stub: Any, photos: list[Any], mean_gap: float) -> list[float]:  # noqa: ANN401
    gaps, seconds = random.Random(0), []  # noqa: S311 - no secret
    for photo in photos:
        if mean_gap:
            await asyncio.sleep(gaps.expovariate(1 / mean_gap))
        started = time.perf_counter()
        await stub.Embed(photo)
        seconds.append(time.perf_counter() - started)
    return seconds
