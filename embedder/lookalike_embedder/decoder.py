"""The first stage: threads that hash, look up, admit and decode, off the event loop."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from lookalike_embedder.cache import Cache
from lookalike_embedder.ewma import smoothed
from lookalike_embedder.image import Info, Pixels, Room
from lookalike_embedder.job import Job, Lane
from lookalike_embedder.lanes import Lanes
from lookalike_serving.errors import DomainError, InternalError, ShuttingDown

logger = logging.getLogger(__name__)

Decode = Callable[[bytes, Room], tuple[Info, Pixels]]
"""Admits and decodes a file; holds room for its pixels while it does. See `image.decode`."""
Finish = Callable[[Job, Exception | None], None]
"""Ends a job, with the failure if it has no result. Safe for all threads."""


class PixelRoom:
    """Bounds the pixels that are being decoded, over all threads; an image that is larger passes when it is alone.

    They are pixels of 8-bit RGB: other images count as the bytes that they take, see `cost`.

    Bulk images leave half of the room free, so that interactive ones do not wait for them.
    """

    def __init__(self, max_pixels: int) -> None:
        self._most = {Lane.INTERACTIVE: max_pixels, Lane.BULK: max_pixels // 2}
        self._held = dict.fromkeys(Lane, 0)
        self._closed = False
        self._freed = threading.Condition()

    @property
    def taken(self) -> int:
        """How many pixels are being decoded."""
        return sum(self._held.values())

    @contextmanager
    def hold(self, lane: Lane, pixels: int) -> Iterator[None]:
        """Room for so many pixels; waits until there is some. Raises ShuttingDown when it is closed."""
        with self._freed:
            self._freed.wait_for(lambda: self._closed or self._fits(lane, pixels))
            if self._closed:
                raise ShuttingDown
            self._held[lane] += pixels
        try:
            yield
        finally:
            with self._freed:
                self._held[lane] -= pixels
                self._freed.notify_all()

    def close(self) -> None:
        """Let nobody in any more."""
        with self._freed:
            self._closed = True
            self._freed.notify_all()

    def _fits(self, lane: Lane, pixels: int) -> bool:
        ahead = self._held[lane] if lane is Lane.BULK else self.taken
        return not ahead or ahead + pixels <= self._most[lane]


class Decoder:
    """Passes jobs on from bytes to pixels, or ends them: with a known answer, or with what is wrong with the file."""

    def __init__(self, lanes: Lanes, decode: Decode, cache: Cache, room: PixelRoom, finish: Finish) -> None:
        self._lanes, self._decode, self._cache, self._room, self._finish = lanes, decode, cache, room, finish
        self.seconds_per_image = 0.0  # of one thread, in the interactive lane

    def work(self) -> None:
        """One thread's work: job after job until the lanes are closed."""
        while job := self._lanes.take():
            failure = None
            try:
                if job.is_wanted() and (job.sha256 or not self._cache.answers(job)):
                    self._fill(job)
                    self._lanes.pass_on(job)
                    continue
            except DomainError as error:
                failure = error
            except Exception:
                logger.exception("unexpected failure while decoding")
                failure = InternalError()
            self._lanes.drop(job)
            self._finish(job, failure)

    def _fill(self, job: Job) -> None:
        started = time.monotonic()
        try:
            job.info, job.pixels = self._decode(job.data, partial(self._room.hold, job.lane))
        finally:
            job.decode_seconds = time.monotonic() - started
            if job.lane is Lane.INTERACTIVE:
                self.seconds_per_image = smoothed(self.seconds_per_image, job.decode_seconds)
            job.data = b""
