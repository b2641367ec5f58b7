"""Measure the engine without the RPC, from pixels and from files; and how fast the processor's cores decode."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final

from lookalike_embedder import image
from lookalike_embedder.bounds import Bounds
from lookalike_embedder.decoder import Decode
from lookalike_embedder.engine import Engine
from lookalike_embedder.image import Info
from lookalike_embedder.job import Job
from lookalike_embedder.metrics import Metrics
from lookalike_embedder.processor import CORES
from tests.bench.interleaving import steady_pace
from tools.gpu.record import Record
from tools.gpu.served import event_loop
from tools.gpu.setting import Setting
from tools.gpu.timing import flop_per_image, watched

_BOUNDS: Final = Bounds(interactive=256, in_flight_bytes=1 << 29, decoding_pixels=128_000_000, cached=0)
_INFO: Final = Info("JPEG", 1, 1, 1)


def run(setting: Setting, record: Record) -> None:
    """Measure the engine from decoded pixels, and then from files."""
    with ThreadPoolExecutor(1) as first:
        model, size = first.submit(_ready, setting).result()
        numbers = [number.to_bytes(4) for number in range(len(setting.pixels))]

        def preloaded(data: bytes, _room: Callable[[int], AbstractContextManager[None]]) -> tuple[Info, Any]:
            return _INFO, setting.pixels[int.from_bytes(data)]

        with watched(setting.device) as busy:
            rate = _run(_pace(setting, model, size, first, preloaded, numbers, decoders=1))
        on = f"images/s from decoded pixels, batches of {size} by two workers; {busy}"
        record.figure("gpu_engine_images_per_second", rate, on)
        record.figure("gpu_engine_tflops", rate * flop_per_image() / 1e12, "the same, in FLOP")
        _decoding(setting, record)
        decode = partial(image.decode, limits=setting.limits)
        with watched(setting.device) as busy:
            rate = _run(_pace(setting, model, size, first, decode, setting.jpegs, decoders=CORES))
        record.figure("gpu_engine_jpeg_images_per_second", rate, f"images/s from JPEGs, {CORES} decode; {busy}")


def _run(pace: Coroutine[Any, Any, float]) -> float:
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        return runner.run(pace)


def _ready(setting: Setting) -> tuple[Any, int]:
    """Return the model and its batch size, chosen as by the server."""
    from lookalike_embedder.loading import knee_of

    model = setting.model()
    return model, model.warm(1 if setting.short else knee_of(model), 2)


def _decoding(setting: Setting, record: Record) -> None:
    """Measure how many files a second all cores decode: nothing on this machine can be faster than that."""
    seconds, decode = setting.seconds / 2, partial(image.decode, limits=setting.limits)

    def decode_for_a_while(_: int) -> int:
        done, loop = 0, asyncio.new_event_loop()
        end = loop.time() + seconds
        for data in itertools.cycle(setting.jpegs):
            decode(data)
            done += 1
            if loop.time() > end:
                break
        loop.close()
        return done

    with ThreadPoolExecutor(CORES) as pool:
        total = sum(pool.map(decode_for_a_while, range(CORES)))
    record.figure("decode_images_per_second", total / seconds, f"the {CORES} cores alone, one thread each")


async def _pace(
    setting: Setting,
    model: Any,  # noqa: ANN401 - imported late
    size: int,
    first: ThreadPoolExecutor,
    decode: Decode,
    files: Sequence[bytes],
    *,
    decoders: int,
) -> float:
    """Return the images a second, in the steady state."""
    engine = Engine(
        model,
        decode,
        Metrics(),
        _BOUNDS,
        first=first,
        bulk_workers=2,
        decode_threads=decoders,
        max_batch_size=size,
    )
    answers, failures = 0, 0
    window = asyncio.Semaphore(engine.window)

    def done(job: Job) -> None:
        nonlocal answers, failures
        answers, failures = answers + 1, failures + bool(job.failure)
        window.release()

    async def feed() -> None:
        for data in itertools.cycle(files):
            await window.acquire()
            await engine.submit(data, done)

    async with engine:
        feeding = asyncio.create_task(feed())
        pace = await steady_pace([feeding], lambda: answers, setting.seconds, warm_up=setting.seconds / 2)
        feeding.cancel()
    if failures:
        raise RuntimeError(f"{failures} of {answers} images failed")
    return pace
