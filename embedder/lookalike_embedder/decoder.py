"""Run the first stage: threads that hash, look up, admit, decode and fingerprint images, off the event loop.

Of a text, they make tokens.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from lookalike_embedder import views
from lookalike_embedder.cache import Cache
from lookalike_embedder.ewma import smoothed
from lookalike_embedder.image import Info, Pixels, Room
from lookalike_embedder.job import Job, Lane
from lookalike_embedder.lanes import Lanes
from lookalike_embedder.text import TextEncoder
from lookalike_serving.errors import DomainError, InternalError, ShuttingDown

logger = logging.getLogger(__name__)

Decode = Callable[[bytes, Room], tuple[Info, Pixels]]
"""Admits and decodes a file, and holds room for its pixels meanwhile; see `image.decode`."""
Finish = Callable[[Job, Exception | None], None]
"""Ends a job, with the failure if it has no result. It is thread-safe."""


class PixelRoom:
    """The room has a limit for the pixels that are being decoded, over all threads. A larger image may pass alone.

    Pixels are those of 8-bit RGB: other images count by the bytes that they take, see `cost`.

    Bulk images leave half of the room free, so that interactive ones do not wait for them.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = {Lane.INTERACTIVE: max_pixels, Lane.BULK: max_pixels // 2}
        self._held = dict.fromkeys(Lane, 0)
        self._closed = False
        self._freed = threading.Condition()

    @property
    def held_pixels(self) -> int:
        """Return how many pixels are being decoded now."""
        return sum(self._held.values())

    @contextmanager
    def hold(self, lane: Lane, pixels: int) -> Iterator[None]:
        """Hold room for so many pixels within the block, once there is some.

        Raises ShuttingDown if the room is closed.
        """
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
        """Admit no image any more, and wake all that wait."""
        with self._freed:
            self._closed = True
            self._freed.notify_all()

    def _fits(self, lane: Lane, pixels: int) -> bool:
        ahead = self._held[lane] if lane is Lane.BULK else self.held_pixels
        return not ahead or ahead + pixels <= self._max_pixels[lane]


class Decoder:
    """The decoder takes jobs from bytes to pixels or tokens, or ends them: with a cached result, or with a failure."""

    def __init__(
        self, lanes: Lanes, decode: Decode, cache: Cache, room: PixelRoom, finish: Finish, text: TextEncoder | None
    ) -> None:
        self._lanes, self._decode, self._cache, self._room, self._finish = lanes, decode, cache, room, finish
        self._text = text
        self.seconds_per_image = 0.0  # of one thread, in the interactive lane

    def work(self) -> None:
        """Decode job after job until the lanes are closed; no failure ends this loop."""
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
            if job.is_text:
                assert self._text  # noqa: S101 - the engine admits no text without it
                job.tokens = self._text.tokenise(job.data.decode())
                return
            job.info, job.pixels = self._decode(job.data, partial(self._room.hold, job.lane))
            if job.wants_fingerprint:
                # here, as it needs OpenCV, which is missing where no fingerprints are made
                from lookalike_serving.fingerprint import making

                job.fingerprint = making.make(job.pixels, job.info.width, job.info.height)
            if job.wants_views:
                job.views = views.of(job.pixels)
        finally:
            job.decode_seconds = time.monotonic() - started
            if job.lane is Lane.INTERACTIVE and not job.is_text:
                self.seconds_per_image = smoothed(self.seconds_per_image, job.decode_seconds)
            job.data = b""
