"""Turn the bytes of an image, or a text, into its vector, over both lanes.

    bytes ─ admit ─ [lanes] ─ hash, known?, decode ─ [lanes] ─ batch, compute ─ answer
            event loop         decoder threads                 worker threads    event loop

A text takes the way of an interactive image: a decoder makes its tokens, and the interactive worker its vector.

Work in flight is limited: bulk callers wait for room, interactive ones are refused at once and told when to try again.
"""

import asyncio
import io
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final, Self

from PIL import Image

from lookalike._concurrency.budget import Budget
from lookalike_embedder.batcher import Batcher, Compute
from lookalike_embedder.bounds import Bounds
from lookalike_embedder.cache import Cache
from lookalike_embedder.decoder import Decode, Decoder, PixelRoom
from lookalike_embedder.errors import DeviceLost, Overloaded, Stuck, TooLate
from lookalike_embedder.job import Job, Lane
from lookalike_embedder.lanes import Lanes
from lookalike_embedder.metrics import Metrics
from lookalike_embedder.text import TextEncoder, check
from lookalike_serving.errors import DomainError
from lookalike_serving.patience import acceptable_wait, retry_after

_INTERACTIVE_SHARE: Final = 0.25
"""Interactive work keeps this share of the bytes in flight, so that bulk work cannot take all."""
_HASHED_AT_ONCE: Final = 128 * 1024
"""Files up to this size are hashed on the event loop, in 70 µs at most. A thread would wait longer than that for the
interpreter's lock after each hash: 3,700 instead of 5,600 images of 50 kB per second, measured with a null model."""
_PROBE_SIDE: Final = 8
_END_SECONDS: Final = 5.0
"""After the drain, threads have so long to end their last job."""


class Engine:
    """The engine runs decoder threads and workers over the lanes, within its async context.

    Args:
        compute: the model's forward pass.
        decode: admission and decoding.
        metrics: counts images, failures and batches.
        bounds: limits what is in flight.
        first: the thread of the interactive worker, on which the caller has loaded the model. Only one thread of a
            process may use all cores: the OpenMP of a second one slows the first one by a quarter.
        bulk_workers: how many batches of the bulk lane are computed at once.
        decode_threads: how many images are decoded at once.
        max_batch_size: the most images in one batch.
        text: makes vectors of texts; None where there is no text encoder.
        lost: is set once the device is lost, and nothing will be computed any more.
    """

    def __init__(
        self,
        compute: Compute,
        decode: Decode,
        metrics: Metrics,
        bounds: Bounds,
        *,
        first: Executor,
        bulk_workers: int,
        decode_threads: int,
        max_batch_size: int,
        text: TextEncoder | None = None,
        lost: asyncio.Event | None = None,
    ) -> None:
        interactive_bytes = int(bounds.in_flight_bytes * _INTERACTIVE_SHARE)
        self._budgets = {
            Lane.INTERACTIVE: Budget(bounds.interactive, interactive_bytes),
            Lane.BULK: Budget(None, bounds.in_flight_bytes - interactive_bytes),
        }
        self._lost = lost or asyncio.Event()
        self.window = max(16, 2 * (decode_threads + bulk_workers * max_batch_size))
        self._metrics = metrics
        self._cache, self._room = Cache(bounds.cached), PixelRoom(bounds.decoding_pixels)
        self._lanes = Lanes(decode_threads + 2 * bulk_workers * max_batch_size, decode_threads)
        self._decoder = Decoder(self._lanes, decode, self._cache, self._room, self._finish, text)
        self._batcher = Batcher(compute, self._lanes, self._cache, self._finish, metrics, max_batch_size, text)
        self._texts = 0  # in flight
        self._first = first
        self._bulk_workers, self._decode_threads = bulk_workers, decode_threads
        self._begun: list[Job] = []
        self._finished: deque[Job] = deque()
        self._settling = False
        metrics.watch(
            depth=self._lanes.waiting,
            in_flight_bytes=lambda lane: self._budgets[lane].bytes,
            decoding_pixels=lambda: self._room.held_pixels,
            cache_entries=lambda: len(self._cache),
            max_batch_size=lambda: self._batcher.max_batch_size,
        )

    async def __aenter__(self) -> Self:
        """Start the decoder threads and the workers."""
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(self._decode_threads + self._bulk_workers, "embedder")
        self._working = [
            self._first.submit(self._batcher.work, Lane.INTERACTIVE),
            *(self._threads.submit(self._batcher.work, Lane.BULK) for _ in range(self._bulk_workers)),
            *(self._threads.submit(self._decoder.work) for _ in range(self._decode_threads)),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the threads end after their current job.

        Raises:
            Stuck: some threads do not end, for example because the device hangs.
        """
        self._lanes.close()
        self._room.close()
        done, stuck = await asyncio.wait(map(asyncio.wrap_future, self._working), timeout=_END_SECONDS)
        self._threads.shutdown(wait=False)
        for work in done:
            work.result()
        if stuck:
            raise Stuck(f"{len(stuck)} threads are still at work {_END_SECONDS:g} s after the end")

    async def embed(
        self, data: bytes, *, seconds: float | None = None, fingerprint: bool = False, views: bool = False
    ) -> Job:
        """Return the finished job of one image for which a caller waits. With views it is bulk work, as it takes long.

        Args:
            data: the image file.
            seconds: how long the caller will wait; None: without limit.
            fingerprint: whether to make a fingerprint, too.
            views: whether to embed views, too.

        Raises:
            Overloaded: too much is in flight, or the caller would give up before it is done.
            DomainError: the image is not accepted, or the model failed on it.
        """
        lane = Lane.BULK if views else Lane.INTERACTIVE
        if views:
            await self._bulk_room(len(data))
        else:
            self._admit(len(data), math.inf if seconds is None else seconds)
        return await self._answered(data, lane, seconds, fingerprint=fingerprint, views=views)

    async def embed_text(self, text: str, *, seconds: float | None = None) -> Job:
        """Return the finished job of one text, which has a text encoder to go to; see `embed`.

        Raises:
            InvalidText: the text is not accepted.
            Overloaded, DomainError: as `embed`.
        """
        try:
            check(text)
        except DomainError as error:
            raise self._metrics.refusing(Lane.INTERACTIVE, error) from None
        data = text.encode()
        self._admit(len(data), math.inf if seconds is None else seconds)
        self._texts += 1
        return await self._answered(data, Lane.INTERACTIVE, seconds, is_text=True)

    async def _answered(
        self,
        data: bytes,
        lane: Lane,
        seconds: float | None,
        *,
        fingerprint: bool = False,
        views: bool = False,
        is_text: bool = False,
    ) -> Job:
        """Return the finished job of what has been admitted."""
        answered = self._loop.create_future()

        def done(_: Job) -> None:
            if not answered.done():
                answered.set_result(None)

        deadline = math.inf if seconds is None else time.monotonic() + seconds
        job = Job(data, lane, done, deadline, fingerprint, views, is_text)
        self._begin(job)
        try:
            await answered
        finally:
            job.cancel()
        if job.failure:
            raise job.failure
        return job

    async def submit(self, data: bytes, done: Callable[[Job], None], *, fingerprint: bool = False) -> Job:
        """Begin the job of one bulk image as soon as there is room. `done` is called when it is finished.

        Raises:
            DeviceLost: nothing will be computed any more.
        """
        await self._bulk_room(len(data))
        job = Job(data, Lane.BULK, done, wants_fingerprint=fingerprint)
        self._begin(job)
        return job

    async def probe(self, fresh_seconds: float) -> None:
        """Prove that images become vectors: by a recent success, or by embedding an image that is made for this.

        Args:
            fresh_seconds: how recent a success must be to count.
        """
        if self._batcher.device_lost:
            raise DeviceLost
        if time.monotonic() - self._batcher.last_success > fresh_seconds:
            await self.embed(_probe_photo())

    async def _bulk_room(self, size: int) -> None:
        """Wait until there is room for a bulk image. Raises DeviceLost."""
        if self._batcher.device_lost:
            raise self._metrics.refusing(Lane.BULK, DeviceLost())
        await self._budgets[Lane.BULK].acquire(size)

    def _admit(self, size: int, seconds: float) -> None:
        """Admit an interactive image or text, or raise its refusal."""
        if self._batcher.device_lost:
            raise self._metrics.refusing(Lane.INTERACTIVE, DeviceLost())
        budget = self._budgets[Lane.INTERACTIVE]
        images = (budget.items - self._texts) * self._seconds_per_image()
        drained = images + self._texts * self._batcher.seconds_per_text
        if drained > acceptable_wait(seconds) or not budget.try_acquire(size):
            retry = retry_after(drained)
            raise self._metrics.refusing(Lane.INTERACTIVE, Overloaded(budget.items, retry, deadline_seconds=seconds))

    def _seconds_per_image(self) -> float:
        """Return the seconds per image of the interactive lane, which are those of the slower of its two stages."""
        decoding = self._decoder.seconds_per_image / self._decode_threads
        return max(decoding, self._batcher.seconds_per_image[Lane.INTERACTIVE])

    def _begin(self, job: Job) -> None:
        """Answer from the cache, or queue the job.

        A large file is hashed by a decoder: here it would block the event loop.
        """
        if job.size <= _HASHED_AT_ONCE and self._cache.answers(job):
            self._finish(job, None)
        elif job.lane is Lane.INTERACTIVE:
            self._lanes.put(job)
        else:
            self._begun.append(job)
            if len(self._begun) == 1:
                self._loop.call_soon(self._line_up)

    def _line_up(self) -> None:
        begun, self._begun = self._begun, []
        self._lanes.put(*begun)

    def _finish(self, job: Job, failure: Exception | None) -> None:
        """End a job, from any thread. The event loop is woken once for all jobs that end before it runs."""
        job.data, job.pixels, job.views, job.tokens, job.ended = b"", None, (), None, True
        job.failure = failure or (TooLate(job.what) if job.result is None and job.is_late() else None)
        if job.failure:
            _forget_frames(job.failure)
        job.total_seconds = time.monotonic() - job.entered
        self._finished.append(job)
        if not self._settling:
            self._settling = True
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._settling = False  # first, so that a job that ends from now on wakes the loop again
        while self._finished:
            job = self._finished.popleft()
            self._budgets[job.lane].release(job.size)
            self._texts -= job.is_text
            if isinstance(job.failure, DeviceLost):
                self._lost.set()
            if job.cancelled and not isinstance(job.failure, TooLate):
                continue
            if isinstance(job.failure, DomainError):
                self._metrics.failed(job.lane, job.failure.reason)
            self._metrics.answered(job)
            if not job.cancelled:
                job.done(job)


def _forget_frames(failure: Exception) -> None:
    """Drop the traceback, whose frames hold the file, its pixels and the failure itself, in a cycle. It was logged."""
    failure.__traceback__ = failure.__cause__ = failure.__context__ = None


def _probe_photo() -> bytes:
    """Return a picture that no cache has, within any sensible limit: some 150 bytes."""
    file = io.BytesIO()
    Image.effect_noise((_PROBE_SIDE, _PROBE_SIDE), 64).save(file, "PNG")
    return file.getvalue()
