"""Run the second stage: threads that make batches of decoded images, or of texts, and compute them.

There is no timer: a batch holds the images that have arrived while the last batch was computed. So an idle embedder
answers a single image at once, and a busy one fills its batches.

Each lane has workers of its own, so that an interactive image never waits for a bulk batch to end. On a CPU, where both
need the same cores, bulk work pauses between two layers while interactive work computes; on a GPU, the interactive
worker's stream has priority.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder.cache import Cache
from lookalike_embedder.decoder import Finish
from lookalike_embedder.errors import DeviceLost, ModelFailure, OutOfMemory
from lookalike_embedder.ewma import smoothed
from lookalike_embedder.image import Info, Pixels
from lookalike_embedder.job import Embedded, Job, Lane
from lookalike_embedder.lanes import Lanes
from lookalike_embedder.metrics import Metrics
from lookalike_embedder.preemption import Gate
from lookalike_embedder.text import TextEncoder
from lookalike_serving.errors import DomainError, InternalError

logger = logging.getLogger(__name__)

STAND_ASIDE: Final = 4.0
"""A bulk batch pauses for at most so many times as long as it computes. So bulk work keeps a fifth of its pace even
under interactive work without a gap."""


class Compute(Protocol):
    """The model's forward pass is called like this."""

    def __call__(self, pixels: Sequence[Pixels], lane: Lane, pause: Callable[[], None]) -> NDArray[np.float32]:
        """Return vectors [n, dimensions] of n images [size, size, 3]. Workers call this at the same time.

        On a CPU, an interactive call may use all cores; a bulk call uses one, and calls `pause` between two layers.

        Raises:
            OutOfMemory: there is not enough memory for so many images.
            DeviceLost: the device will not compute again before this process is restarted.
        """


class Batcher:
    """The batcher computes decoded images, and ends each job with its vector or with a failure.

    Args:
        compute: the model's forward pass.
        lanes: where decoded jobs wait.
        cache: keeps the results.
        finish: ends a job.
        metrics: counts batches and failures.
        max_batch_size: the most images in one batch; it is halved when memory runs out.
        text: computes texts; None where there are none.
    """

    def __init__(
        self,
        compute: Compute,
        lanes: Lanes,
        cache: Cache,
        finish: Finish,
        metrics: Metrics,
        max_batch_size: int,
        text: TextEncoder | None = None,
    ) -> None:
        self._text = text
        self._compute, self._lanes, self._cache, self._finish = compute, lanes, cache, finish
        self._metrics = metrics
        self._gate = Gate()
        self.max_batch_size = max_batch_size
        self.seconds_per_image = dict.fromkeys(Lane, 0.0)
        self.seconds_per_text = 0.0
        self.last_success = -float("inf")
        self.device_lost = False

    def work(self, lane: Lane) -> None:
        """Compute batch after batch of a lane until the lanes are closed; no failure ends this loop."""
        while batch := self._lanes.batch(lane, self.max_batch_size):
            try:
                for is_text in (True, False):
                    if wanted := [job for job in batch if job.is_text is is_text and job.is_wanted()]:
                        self._answer(lane, wanted)
            except Exception:
                logger.exception("unexpected failure of a worker")
            for job in batch:
                if not job.ended:
                    self._finish(job, InternalError() if job.is_wanted() else None)

    def _answer(self, lane: Lane, jobs: list[Job]) -> None:
        """Compute a batch. If that fails, bisection finds the one at fault, so that only this one fails."""
        failure = None
        try:
            vectors = self._run_texts(jobs) if jobs[0].is_text else self._run(lane, jobs)
        except Exception as error:
            failure = self._note_failure(error, jobs)
        # Not within `except`: until that block is left, the failed call holds the activations of all its layers.
        if failure is None:
            self._succeed(jobs, vectors)
        elif len(jobs) == 1 or isinstance(failure, DeviceLost):
            for job in jobs:
                self._finish(job, failure)
        else:
            half = len(jobs) // 2
            self._answer(lane, jobs[:half])
            self._answer(lane, jobs[half:])

    def _note_failure(self, error: Exception, jobs: list[Job]) -> DomainError:
        """Log the failure, lower the batch size or note a lost device, and return the failure of a single image."""
        if isinstance(error, DeviceLost):
            logger.critical("the device is lost: %s", error.__cause__ or error)
            self.device_lost = True
            return DeviceLost()
        if isinstance(error, OutOfMemory) and len(jobs) > 1:
            self.max_batch_size = min(self.max_batch_size, len(jobs) // 2)
            self._metrics.out_of_memory.inc()
            logger.warning("out of memory in a batch of %d: at most %d from now on", len(jobs), self.max_batch_size)
        else:
            extra = {"request_id": jobs[0].request_id} if len(jobs) == 1 else None
            logger.error("the model failed on a batch of %d", len(jobs), exc_info=error, extra=extra)
        return ModelFailure(jobs[0].what)

    def _run(self, lane: Lane, jobs: list[Job]) -> NDArray[np.float32]:
        pixels = [image for job in jobs for image in job.images]
        started, paused = time.monotonic(), 0.0
        if lane is Lane.INTERACTIVE:
            with self._gate.urgent():
                vectors = self._compute_in_parts(pixels, lane, _never)
        else:
            pauses = _Pauses(self._gate, STAND_ASIDE * len(pixels) * self.seconds_per_image[Lane.BULK])
            vectors = self._compute_in_parts(pixels, lane, pauses)
            paused = pauses.waited
            self._metrics.stood_aside.inc(paused)
        seconds = time.monotonic() - started
        self._metrics.batch(lane, len(pixels), seconds)
        for job in jobs:
            job.compute_seconds = seconds
        # Without the pauses: their limit is derived from this pace, and would grow without bound.
        self.seconds_per_image[lane] = smoothed(self.seconds_per_image[lane], (seconds - paused) / len(pixels))
        return vectors

    def _run_texts(self, jobs: list[Job]) -> NDArray[np.float32]:
        assert self._text  # noqa: S101 - the engine admits no text without it
        tokens = [job.tokens for job in jobs if job.tokens is not None]
        started = time.monotonic()
        with self._gate.urgent():
            vectors = self._text(tokens)
        seconds = time.monotonic() - started
        self._metrics.text_batch(seconds)
        for job in jobs:
            job.compute_seconds = seconds
        self.seconds_per_text = smoothed(self.seconds_per_text, seconds / len(jobs))
        return vectors

    def _compute_in_parts(self, pixels: list[Pixels], lane: Lane, pause: Callable[[], None]) -> NDArray[np.float32]:
        """Compute all images; with views, they may be more than a batch."""
        most = self.max_batch_size
        parts = [pixels[first : first + most] for first in range(0, len(pixels), most)]
        computed = [self._compute(part, lane, pause) for part in parts]
        return computed[0] if len(computed) == 1 else np.concatenate(computed)

    def _succeed(self, jobs: list[Job], vectors: NDArray[np.float32]) -> None:
        sums = vectors.sum(axis=1).tolist()  # one call for all: each call of numpy releases the interpreter's lock
        first = 0
        for job in jobs:
            own = slice(first, first + (1 if job.is_text else len(job.images)))
            first = own.stop
            assert job.is_text or isinstance(job.info, Info)  # noqa: S101 - it was decoded
            if not math.isfinite(sum(sums[own])):
                logger.error("the model answered with what is no number", extra={"request_id": job.request_id})
                self._finish(job, ModelFailure(job.what))
                continue
            if job.lane is Lane.INTERACTIVE and not job.is_text:  # a text proves nothing of images
                self.last_success = time.monotonic()
            vector, *views = (one.tobytes() for one in vectors[own])
            job.result = Embedded(vector, job.sha256, job.info, job.fingerprint, tuple(views))
            self._cache.put(job.result)
            self._finish(job, None)


class _Pauses:
    """A bulk batch calls this between two layers. It waits, in all `max_wait` seconds at most; `waited` counts them."""

    def __init__(self, gate: Gate, max_wait: float) -> None:
        self._gate, self._max_wait = gate, max_wait
        self.waited = 0.0

    def __call__(self) -> None:
        self.waited += self._gate.wait(self._max_wait - self.waited)


def _never() -> None:
    """Do nothing: interactive work never pauses."""
