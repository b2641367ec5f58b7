"""Queue jobs in two lanes, to be decoded and then to be computed. The event loop and all threads share them.

Interactive jobs go first. Bulk jobs are decoded no further ahead than the next batches need, so that pixels do not pile
up. They get every ninth turn of the decoders at least, so that they never starve.

Within a lane the oldest goes first. But where calls take much longer than was expected when they were admitted, the
newest interactive job does, as it can still be answered in time (adaptive LIFO; Maurer: "Fail at scale", ACM Queue
2015).
"""

import threading
from collections import deque
from typing import Final

from lookalike_embedder.job import Job, Lane

MAX_IN_A_ROW: Final = 8
"""So many interactive jobs in a row are decoded while a bulk job waits."""


class Lanes:
    """The lanes hold jobs that wait.

    Args:
        max_decoded: the most bulk images that are being decoded, or are decoded and wait.
        decoders: the number of decoder threads. Bulk jobs leave one of several free, so that an interactive job never
            waits for a large bulk image.
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
        """Queue jobs to be decoded."""
        with self._decodable:
            for job in jobs:
                self._encoded[job.lane].append(job)
            self._decodable.notify(len(jobs))

    def take(self) -> Job | None:
        """Return the next job to decode, once there is one; None if the lanes are closed.

        Call `pass_on` or `drop` after it.
        """
        with self._decodable:
            while not self._closed:
                if lane := self._turn():
                    self._in_a_row = self._in_a_row + 1 if lane is Lane.INTERACTIVE else 0
                    self._bulk_ahead += lane is Lane.BULK
                    self._bulk_decoding += lane is Lane.BULK
                    return _next(self._encoded[lane])
                self._decodable.wait()
        return None

    def pass_on(self, job: Job) -> None:
        """Queue a decoded job to be computed."""
        waiting = self._computable[job.lane]
        with waiting:
            self._decoded[job.lane].append(job)
            waiting.notify()
            if job.lane is Lane.BULK:
                self._bulk_decoding -= 1
                self._decodable.notify()

    def drop(self, job: Job) -> None:
        """Note that a job from `take` will not be computed."""
        if job.lane is Lane.BULK:
            with self._decodable:
                self._bulk_ahead -= 1
                self._bulk_decoding -= 1
                self._decodable.notify()

    def batch(self, lane: Lane, limit: int) -> list[Job]:
        """Return the next 1 to `limit` decoded jobs of a lane, once there is one; empty if the lanes are closed."""
        jobs, waiting = self._decoded[lane], self._computable[lane]
        with waiting:
            while not jobs and not self._closed:
                waiting.wait()
            batch = [_next(jobs) for _ in range(min(limit, len(jobs)))]
            if lane is Lane.BULK:
                self._bulk_ahead -= len(batch)
                self._decodable.notify(len(batch))
            return batch

    def waiting(self, lane: Lane) -> tuple[int, int]:
        """Return how many jobs of a lane wait to be decoded, and how many to be computed."""
        return len(self._encoded[lane]), len(self._decoded[lane])

    def close(self) -> None:
        """Close the lanes, so that every waiting thread ends."""
        with self._decodable:
            self._closed = True
            for condition in (self._decodable, *self._computable.values()):
                condition.notify_all()

    def _turn(self) -> Lane | None:
        """Return the lane whose job is decoded next, if any."""
        may_begin = self._bulk_ahead < self._max_decoded and self._bulk_decoding < self._max_decoding
        bulk = self._encoded[Lane.BULK] and may_begin
        if self._encoded[Lane.INTERACTIVE] and not (bulk and self._in_a_row >= MAX_IN_A_ROW):
            return Lane.INTERACTIVE
        return Lane.BULK if bulk else None


def _next(jobs: deque[Job]) -> Job:
    """Take the job whose turn it is. One that nobody waits for is taken out, too."""
    oldest = jobs[0]
    serves_newest = oldest.lane is Lane.INTERACTIVE and oldest.is_wanted() and oldest.is_overdue()
    return jobs.pop() if serves_newest else jobs.popleft()
