"""The first stage: threads that hash, look up, admit and decode, off the event loop."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lookalike.status import DomainError, InternalError
from lookalike_embedder.cache import Cache
from lookalike_embedder.image import Info, Pixels, Room
from lookalike_embedder.job import Job
from lookalike_embedder.lanes import Lanes

logger = logging.getLogger(__name__)

Decode = Callable[[bytes, Room], tuple[Info, Pixels]]
"""Admits and decodes a file; holds room for its pixels while it does. See `image.decode`."""
Finish = Callable[[Job, Exception | None], None]
"""Ends a job, with the failure if it has no result. Safe for all threads."""


class PixelRoom:
    """Bounds the pixels that are being decoded, over all threads; an image that is larger passes when it is alone."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self.taken = 0
        self._freed = threading.Condition()

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Room for so many pixels; waits until there is some."""
        with self._freed:
            self._freed.wait_for(lambda: not self.taken or self.taken + pixels <= self._max_pixels)
            self.taken += pixels
        try:
            yield
        finally:
            with self._freed:
                self.taken -= pixels
                self._freed.notify_all()


class Decoder:
    """Passes jobs on from bytes to pixels, or ends them: with a known answer, or with what is wrong with the file."""

    def __init__(self, lanes: Lanes, decode: Decode, cache: Cache, room: PixelRoom, finish: Finish) -> None:
        self._lanes, self._decode, self._cache, self._room, self._finish = lanes, decode, cache, room, finish

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
            job.info, job.pixels = self._decode(job.data, self._room.hold)
        finally:
            job.decode_seconds = time.monotonic() - started
            job.data = b""
