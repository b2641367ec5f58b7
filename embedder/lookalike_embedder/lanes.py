"""The two lanes: where jobs wait to be decoded, and then to be computed. Shared by the event loop and all threads.

Interactive jobs go first. Bulk jobs are decoded no further ahead than needed to fill the next batches, so that pixels
do not pile up, and get every ninth turn of the decoders at least, so that they never starve.
"""

import threading
from collections import deque
from typing import Final

from lookalike_embedder.job import Job, Lane

MOST_IN_A_ROW: Final = 8
"""Interactive jobs that are decoded in a row while a bulk job could be."""


class Lanes:
    """Jobs wait here, first come, first served within their lane.

    Args:
        max_decoded: the most bulk images that are being decoded or lie decoded.
        decoders: how many threads decode: bulk jobs leave one of several free, so that an interactive job never waits
            until a large image is decoded.
    """

    def __init__(self, max_decoded: int, decoders: int) -> None:
        self._max_decoded = max_decoded
        self._max_decoding = max(1, decoders - 1)
        self._encoded: dict[Lane, deque[Job]] = {lane: deque() for lane in Lane}
        self._decoded: dict[Lane, deque[Job]] = {lane: deque() for lane in Lane}
        self._bulk_ahead = 0  # being decoded, or decoded and not yet taken
        self._bulk_decoding = 0
        self._in_a_row = 0
        self._closed = False
        lock = threading.Lock()
        self._decodable = threading.Condition(lock)
        self._computable = {lane: threading.Condition(lock) for lane in Lane}

    def put(self, *jobs: Job) -> None:
        """Line up jobs to be decoded."""
        with self._decodable:
            for job in jobs:
                self._encoded[job.lane].append(job)
            self._decodable.notify(len(jobs))

    def take(self) -> Job | None:
        """The next job to decode; waits for one. None when the lanes are closed. Follow it by `pass_on` or `drop`."""
        with self._decodable:
            while not self._closed:
                if lane := self._turn():
                    self._in_a_row = self._in_a_row + 1 if lane is Lane.INTERACTIVE else 0
                    self._bulk_ahead += lane is Lane.BULK
                    self._bulk_decoding += lane is Lane.BULK
                    return self._encoded[lane].popleft()
                self._decodable.wait()
        return None

    def pass_on(self, job: Job) -> None:
        """Line up a decoded job to be computed."""
        waiting = self._computable[job.lane]
        with waiting:
            self._decoded[job.lane].append(job)
            waiting.notify()
            if job.lane is Lane.BULK:
                self._bulk_decoding -= 1
                self._decodable.notify()

    def drop(self, job: Job) -> None:
        """A job that was taken needs no computing."""
        if job.lane is Lane.BULK:
            with self._decodable:
                self._bulk_ahead -= 1
                self._bulk_decoding -= 1
                self._decodable.notify()

    def batch(self, lane: Lane, most: int) -> list[Job]:
        """The next 1 to `most` decoded jobs of a lane; waits for one. Empty when the lanes are closed."""
        jobs, waiting = self._decoded[lane], self._computable[lane]
        with waiting:
            while not jobs and not self._closed:
                waiting.wait()
            batch = [jobs.popleft() for _ in range(min(most, len(jobs)))]
            if lane is Lane.BULK:
                self._bulk_ahead -= len(batch)
                self._decodable.notify(len(batch))
            return batch

    def waiting(self, lane: Lane) -> tuple[int, int]:
        """How many jobs of a lane wait to be decoded, and how many to be computed."""
        return len(self._encoded[lane]), len(self._decoded[lane])

    def close(self) -> None:
        """Let every thread that waits here end."""
        with self._decodable:
            self._closed = True
            for condition in (self._decodable, *self._computable.values()):
                condition.notify_all()

    def _turn(self) -> Lane | None:
        """Whose job is decoded next."""
        may_begin = self._bulk_ahead < self._max_decoded and self._bulk_decoding < self._max_decoding
        bulk = self._encoded[Lane.BULK] and may_begin
        if self._encoded[Lane.INTERACTIVE] and not (bulk and self._in_a_row >= MOST_IN_A_ROW):
            return Lane.INTERACTIVE
        return Lane.BULK if bulk else None
