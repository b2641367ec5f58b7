"""Makes batches of images that arrive one by one.

There is no timer: a batch is whatever has gathered while the batches before it were computed. An idle embedder
therefore answers a single image at once, and a busy one fills its batches by itself.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder.errors import ModelFailure, Overloaded
from lookalike_embedder.image import SIZE, Pixels

logger = logging.getLogger(__name__)

Vector = NDArray[np.float32]


class Compute(Protocol):
    """The model's forward pass."""

    def __call__(self, pixels: Pixels, *, alone: bool) -> NDArray[np.float32]:
        """Vectors [n, dimensions] from pixels [n, SIZE, SIZE, 3].

        `alone` says that this is the first worker and that the others are idle: it may use the whole machine.
        """


@dataclass(eq=False)
class _Job:
    pixels: Pixels
    vector: asyncio.Future[Vector] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batcher:
    """Runs `compute` over batches.

    Args:
        compute: the model's forward pass.
        workers: where it runs, off the event loop: a thread each. The first one that is free takes the next batch.
        max_batch_size: the most images in one batch.
        max_waiting: the most images that wait in the queue; beyond it `embed` waits before it enters.
    """

    def __init__(self, compute: Compute, workers: Sequence[Executor], *, max_batch_size: int, max_waiting: int) -> None:
        self._compute = compute
        self._workers = workers
        self._max_batch_size = max_batch_size
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(max_waiting)
        # A worker's places: one, or two where a batch is one image. There is nothing to gather then, and the next image
        # lies ready when the one before is done: handing it over only then left the cores idle for a tenth of the time.
        self._places = [
            (ahead, worker) for ahead in range(2 if max_batch_size == 1 else 1) for worker in range(len(workers))
        ]
        self._free: asyncio.PriorityQueue[tuple[int, int]] = asyncio.PriorityQueue()
        for place in self._places:
            self._free.put_nowait(place)
        self._seconds_per_image = 0.0
        self._last_success = -float("inf")

    async def run(self) -> None:
        """Make and compute batches for ever. No failure ends this loop; cancelling it does."""
        async with asyncio.TaskGroup() as working:
            while True:
                first = await self._jobs.get()
                place = await self._free.get()
                working.create_task(self._work(place, [first, *self._others()]))

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

    def overloaded(self, in_flight: int) -> Overloaded:
        """The refusal of one caller more than may be in flight: it says when, at the measured pace, they are done."""
        ahead = max(in_flight, self._jobs.qsize())
        return Overloaded(in_flight, retry_seconds=max(0.1, ahead * self._seconds_per_image))

    def _others(self) -> list[_Job]:
        """What else is waiting, as far as the batch has room."""
        return [self._jobs.get_nowait() for _ in range(min(self._max_batch_size - 1, self._jobs.qsize()))]

    async def _work(self, place: tuple[int, int], batch: list[_Job]) -> None:
        try:
            await self._answer(place[1], batch)
        finally:
            self._free.put_nowait(place)

    async def _answer(self, worker: int, batch: list[_Job]) -> None:
        """Compute the batch and answer each job whose caller is still there."""
        wanted = [job for job in batch if not job.vector.cancelled()]
        if not wanted:
            return
        try:
            vectors = await self._run(worker, wanted)
        except Exception:
            logger.exception("the model failed on a batch of %d", len(wanted))
            await self._answer_singly(worker, wanted)
            return
        for job, vector in zip(wanted, vectors, strict=True):
            if job.vector.cancelled():
                continue
            if np.isfinite(vector).all():
                self._last_success = time.monotonic()
                job.vector.set_result(vector)
            else:
                job.vector.set_exception(ModelFailure())

    async def _answer_singly(self, worker: int, failed: list[_Job]) -> None:
        """A batch failed: only the image at fault shall pay for it."""
        if len(failed) > 1:
            for job in failed:
                await self._answer(worker, [job])
        elif not failed[0].vector.cancelled():
            failed[0].vector.set_exception(ModelFailure())

    async def _run(self, worker: int, batch: list[_Job]) -> NDArray[np.float32]:
        alone = worker == 0 and self._free.qsize() == len(self._places) - 1
        compute = partial(self._compute, np.stack([job.pixels for job in batch]), alone=alone)
        started = time.perf_counter()
        vectors = await asyncio.get_running_loop().run_in_executor(self._workers[worker], compute)
        self._seconds_per_image = (time.perf_counter() - started) / len(batch) / len(self._workers)
        return vectors
