"""Provoke the failures of a GPU: it is lost, its memory runs out, work comes too late or is cancelled."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder.bounds import Bounds
from lookalike_embedder.engine import Engine
from lookalike_embedder.errors import OutOfMemory, Overloaded, TooLate
from lookalike_embedder.image import Info
from lookalike_embedder.job import Job, Lane
from lookalike_embedder.metrics import Metrics
from tools.gpu.record import Record
from tools.gpu.setting import Setting

_BOUNDS: Final = Bounds(interactive=256, in_flight_bytes=1 << 29, decoding_pixels=128_000_000, cached=0)
_IMAGES: Final = 2000
_SHORT_IMAGES: Final = 8
_GROWTH_MB: Final = 64.0


def run(setting: Setting, record: Record) -> None:
    """Provoke each failure, one after the other.

    The loss comes first: its server must be forked before this process uses the GPU.
    """
    if lacking := setting.lacking["rpc"]:
        record.figure("lost_device", None, f"this needs {', '.join(lacking)}")
    else:
        from tools.gpu import loss

        loss.run(setting, record)
    with ThreadPoolExecutor(1) as first:
        model = first.submit(setting.model).result()
        size = 2 if setting.short else first.submit(model.warm, 64, 2).result()
        for name, step in {
            "cancelled_and_late": _unwanted(setting, model, size, first, record),
            "growth_of_process_mb": _memory(setting, model, size, first, record),
            "out_of_memory_halved": _out_of_memory(setting, model, first, record),
        }.items():
            try:
                asyncio.run(step)
            except Exception as error:  # other steps may still succeed
                record.figure(name, False, f"{type(error).__name__}: {error}"[:300], least=1)


def _engine(setting: Setting, compute: Any, size: int, first: ThreadPoolExecutor, metrics: Metrics) -> Engine:  # noqa: ANN401
    pixels = setting.pixels

    def decode(data: bytes, _room: object) -> tuple[Info, Any]:
        return Info("JPEG", 1, 1, 1), pixels[int.from_bytes(data) % len(pixels)]

    return Engine(compute, decode, metrics, _BOUNDS, first=first, bulk_workers=2, decode_threads=2, max_batch_size=size)


async def _all(engine: Engine, count: int) -> list[Job]:
    """Return the finished jobs of `count` bulk images."""
    jobs: asyncio.Queue[Job] = asyncio.Queue()
    window = asyncio.Semaphore(engine.window)

    def done(job: Job) -> None:
        jobs.put_nowait(job)
        window.release()

    for number in range(count):
        await window.acquire()
        await engine.submit(number.to_bytes(4), done)
    return [await jobs.get() for _ in range(count)]


async def _unwanted(setting: Setting, model: Any, size: int, first: ThreadPoolExecutor, record: Record) -> None:  # noqa: ANN401
    """Check that the engine still serves after half of the callers cancel, and others have no time left."""
    calls = 4 if setting.short else 64
    async with _engine(setting, model, size, first, Metrics()) as engine:
        tasks = [asyncio.create_task(engine.embed(number.to_bytes(4))) for number in range(calls)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        late = [asyncio.create_task(engine.embed(b"\0\0\1\0", seconds=0.0)) for _ in range(calls)]
        answered = await asyncio.gather(*tasks[1::2])
        refused = await asyncio.gather(*late, return_exceptions=True)
        right = all(isinstance(error, TooLate | Overloaded) for error in refused)
        served = all(job.result for job in answered) and (await engine.embed(b"\0\0\0\1")).result is not None
    on = f"{calls // 2} of {calls} callers gone, {calls} without time: these are refused, the others are served"
    record.figure("cancelled_and_late", bool(right and served), on, least=1)


async def _memory(setting: Setting, model: Any, size: int, first: ThreadPoolExecutor, record: Record) -> None:  # noqa: ANN401
    count = _SHORT_IMAGES if setting.short else _IMAGES
    async with _engine(setting, model, size, first, Metrics()) as engine:
        failed = sum(job.result is None for job in await _all(engine, count // 4))
        before = _used(setting)
        failed += sum(job.result is None for job in await _all(engine, count))
        growth = [after - earlier for after, earlier in zip(_used(setting), before, strict=True)]
    on = f"MB over {count} images, after {count // 4}; {failed} failed"
    record.figure("growth_of_process_mb", growth[0], on, most=None if setting.short else _GROWTH_MB)
    record.figure("growth_on_gpu_mb", growth[1], on, most=1.0)


def _used(setting: Setting) -> tuple[float, float]:
    """Return the MB that this process uses, and those of the GPU."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    on_gpu = 0
    if setting.device == "cuda":
        import torch

        on_gpu = torch.cuda.memory_reserved()
    return pages * 4096 / 1e6, on_gpu / 1e6


async def _out_of_memory(setting: Setting, model: Any, first: ThreadPoolExecutor, record: Record) -> None:  # noqa: ANN401
    """Check that batches that do not fit into memory are halved, and that no image is lost."""
    compute, size = (_cramped(model), 256) if setting.device == "cuda" else (_short_of_memory(model), 4)
    metrics = Metrics()
    async with _engine(setting, compute, size, first, metrics) as engine:
        jobs = await _all(engine, 8 if setting.short else 4 * size)
    halved = metrics.registry.get_sample_value("lookalike_embedder_out_of_memory_total") or 0
    lost = sum(job.result is None for job in jobs)
    batch_size = engine._batcher.max_batch_size
    record.figure("out_of_memory_halved", halved, f"batches of at most {size}, then {batch_size}", least=1)
    record.figure("out_of_memory_lost", lost, f"of {len(jobs)} images", most=0)


def _cramped(model: Any) -> Any:  # noqa: ANN401
    """Return the model with memory for some 48 images at once beside its weights, over all workers."""
    import torch

    model.warm(1, 1)  # frees what the workers hold
    room = torch.cuda.memory_reserved() + 48 * 16_000_000
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(0).total_memory)
    return model


def _short_of_memory(model: Any) -> Callable[..., NDArray[np.float32]]:  # noqa: ANN401
    """Return a model that fails on more than one image: on a CPU, memory cannot be limited."""

    def compute(pixels: Sequence[Any], lane: Lane, pause: Callable[[], None]) -> NDArray[np.float32]:
        if len(pixels) > 1:
            raise OutOfMemory
        vectors: NDArray[np.float32] = model(pixels, lane, pause)
        return vectors

    return compute
