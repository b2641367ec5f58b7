"""Makes batches of images that arrive one by one.

There is no timer: a batch is whatever has gathered while the batch before it was computed. An idle embedder therefore
answers a single image at once, and a busy one fills its batches by itself.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder.errors import ModelFailure, Overloaded
from lookalike_embedder.image import SIZE, Pixels

logger = logging.getLogger(__name__)

Vector = NDArray[np.float32]
Compute = Callable[[Pixels], NDArray[np.float32]]
"""Computes vectors [n, dimensions] from pixels [n, SIZE, SIZE, 3]."""


@dataclass(eq=False)
class _Job:
    pixels: Pixels
    vector: asyncio.Future[Vector] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batcher:
    """Runs `compute` over batches, one at a time, on `executor`.

    Args:
        compute: the model's forward pass.
        executor: where it runs, off the event loop.
        max_batch_size: the most images in one batch.
        max_waiting: the most images that wait in the queue; beyond it `embed` waits before it enters.

    """

    def __init__(self, compute: Compute, executor: Executor, *, max_batch_size: int, max_waiting: int) -> None:
        self.max_batch_size = max_batch_size
        self._compute = compute
        self._executor = executor
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(max_waiting)
        self._seconds_per_image = 0.0
        self._last_success = -float("inf")

    async def run(self) -> None:
        """Make and compute batches for ever. No failure ends this loop; cancelling it does."""
        while True:
            if batch := self._without_cancelled(await self._gather()):
                await self._answer(batch)

    async def embed(self, pixels: Pixels) -> Vector:
        """The vector of one image; waits while the queue is full, and so slows the caller down.

        Raises:
            ModelFailure: the model failed on this very image.

        """
        job = _Job(pixels)
        await self._jobs.put(job)
        return await job.vector

    async def probe(self, fresh_seconds: float) -> None:
        """Prove that the model computes: by a batch that it has just computed, or else by one of its own.

        Args:
            fresh_seconds: how old a success may be to count.

        """
        if time.monotonic() - self._last_success > fresh_seconds:
            await self.embed(np.zeros((SIZE, SIZE, 3), np.uint8))

    def overloaded(self) -> Overloaded:
        """The refusal for a caller who should not wait: it says when the queue, at the measured pace, has drained."""
        waiting = self._jobs.qsize()
        return Overloaded(waiting, retry_seconds=max(0.1, waiting * self._seconds_per_image))

    async def _gather(self) -> list[_Job]:
        """Wait for one job, then take what else is there."""
        batch = [await self._jobs.get()]
        while len(batch) < self.max_batch_size and not self._jobs.empty():
            batch.append(self._jobs.get_nowait())
        return batch

    @staticmethod
    def _without_cancelled(batch: list[_Job]) -> list[_Job]:
        return [job for job in batch if not job.vector.cancelled()]

    async def _answer(self, batch: list[_Job]) -> None:
        try:
            vectors = await self._run(batch)
        except Exception:
            logger.exception("the model failed on a batch of %d", len(batch))
            await self._answer_singly(batch)
            return
        for job, vector in zip(batch, vectors, strict=True):
            if job.vector.cancelled():
                continue
            if np.isfinite(vector).all():
                job.vector.set_result(vector)
            else:
                job.vector.set_exception(ModelFailure())

    async def _answer_singly(self, batch: list[_Job]) -> None:
        """A batch failed: only the image at fault shall pay for it."""
        if len(batch) > 1:
            for job in self._without_cancelled(batch):
                await self._answer([job])
        elif not batch[0].vector.cancelled():
            batch[0].vector.set_exception(ModelFailure())

    async def _run(self, batch: list[_Job]) -> NDArray[np.float32]:
        started = time.perf_counter()
        pixels = np.stack([job.pixels for job in batch])
        vectors = await asyncio.get_running_loop().run_in_executor(self._executor, self._compute, pixels)
        self._last_success = time.monotonic()
        self._seconds_per_image = (time.perf_counter() - started) / len(batch)
        return vectors
