"""The batcher: batches without a timer, blame by bisection, memory, lost devices, and deafness to the cancelled.

A batcher works until its lanes are closed and empty, so that it can be run here in the test's own thread.
"""

import numpy as np
import pytest

from lookalike_embedder.batcher import Batcher
from lookalike_embedder.cache import Cache
from lookalike_embedder.errors import DeviceLost, ModelFailure, OutOfMemory, TooLate
from lookalike_embedder.image import Info
from lookalike_embedder.job import Job, Lane
from lookalike_embedder.lanes import Lanes
from lookalike_embedder.metrics import Metrics
from lookalike_serving.errors import InternalError

UNLUCKY, NOT_FINITE = 13, 99


class FakeModel:
    """Answers each picture with its own value; fails on 13; has memory for so many at once, and may lose its device."""

    def __init__(self, memory: int = 100) -> None:
        self.batches: list[list[int]] = []
        self.memory = memory
        self.lost = False

    def __call__(self, pixels: list[np.ndarray], lane: Lane, pause: object) -> np.ndarray:
        values = [int(picture.flat[0]) for picture in pixels]
        self.batches.append(values)
        if self.lost:
            raise DeviceLost
        if len(values) > self.memory:
            raise OutOfMemory
        if UNLUCKY in values:
            raise RuntimeError("unlucky")
        return np.array([[np.nan if value == NOT_FINITE else value] for value in values], np.float32)


class Desk:
    """A batcher over lanes that hold pictures of these values; `answers` has what became of each, in order."""

    def __init__(self, model: FakeModel, values: list[int], *, size: int = 4, lane: Lane = Lane.BULK) -> None:
        self.lanes = Lanes(100, decoders=1)
        self.cache = Cache(100)
        self.jobs = [Job(b"", lane, lambda _: None) for _ in values]
        self.failures: dict[Job, Exception | None] = {}
        self.batcher = Batcher(model, self.lanes, self.cache, self.finish, Metrics(), size)
        for job, value in zip(self.jobs, values, strict=True):
            job.info, job.pixels = Info("JPEG", 1, 1, 1), np.full((1, 1, 3), value, np.uint8)
            job.sha256 = bytes([value])
            self.lanes.pass_on(job)
        self.lane = lane

    def finish(self, job: Job, failure: Exception | None) -> None:
        assert not job.ended
        self.failures[job], job.ended = failure, True

    def work(self) -> "list[float | type[Exception] | None]":
        """Run to the end: each job's value, or the kind of its failure; None where it was dropped."""
        self.lanes.close()
        self.batcher.work(self.lane)
        return [self.outcome(job) for job in self.jobs]

    def outcome(self, job: Job) -> "float | type[Exception] | None":
        if job.result:
            return float(np.frombuffer(job.result.vector, "<f4")[0])
        failure = self.failures[job]
        return type(failure) if failure else None


def test_a_batch_is_what_has_gathered_in_order_and_no_more_than_fits() -> None:
    model = FakeModel()
    assert Desk(model, [1, 2, 3, 4, 5, 6]).work() == [1, 2, 3, 4, 5, 6]
    assert model.batches == [[1, 2, 3, 4], [5, 6]]


def test_only_the_image_at_fault_fails_and_is_found_by_bisection() -> None:
    model = FakeModel()
    values = [1, 2, 3, 4, 5, UNLUCKY, 7, 8]
    assert Desk(model, values, size=8).work() == [1, 2, 3, 4, 5, ModelFailure, 7, 8]
    assert model.batches == [values, [1, 2, 3, 4], [5, 13, 7, 8], [5, 13], [5], [13], [7, 8]]


def test_a_vector_that_is_not_finite_is_a_failure_of_its_own_image() -> None:
    assert Desk(FakeModel(), [1, NOT_FINITE, 3]).work() == [1, ModelFailure, 3]


def test_out_of_memory_halves_the_batch_for_good_and_fails_nobody() -> None:
    model = FakeModel(memory=2)
    desk = Desk(model, [1, 2, 3, 4, 5, 6, 7, 8], size=8)
    assert desk.work() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert desk.batcher.max_batch_size == 2


class SmallDevice(FakeModel):
    """Holds what it computes with until nobody refers to it any more, and has room for so many images."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.held = 0

    def __call__(self, pixels: list[np.ndarray], lane: Lane, pause: object) -> np.ndarray:
        activations = Activations(self, len(pixels))
        if self.held > self.room:
            raise OutOfMemory
        del activations
        return super().__call__(pixels, lane, pause)


class Activations:
    def __init__(self, device: SmallDevice, images: int) -> None:
        self.device, self.images = device, images
        device.held += images

    def __del__(self) -> None:
        self.device.held -= self.images


def test_the_memory_of_what_failed_is_free_again_before_the_halves_are_tried() -> None:
    desk = Desk(SmallDevice(room=50), list(range(1, 12)) * 8, size=88)
    assert None not in desk.work()
    assert ModelFailure not in desk.work()
    assert desk.batcher.max_batch_size == 44


def test_no_failure_ends_a_worker_and_every_job_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(FakeModel(), [1, 2, 3], size=1)
    put = desk.cache.put

    def put_once(embedded: object) -> None:
        monkeypatch.setattr(desk.cache, "put", put)
        raise MemoryError

    monkeypatch.setattr(desk.cache, "put", put_once)
    desk.work()
    assert [type(desk.failures[job]) for job in desk.jobs] == [InternalError, type(None), type(None)]


def test_memory_that_does_not_suffice_for_one_image_is_its_failure() -> None:
    assert Desk(FakeModel(memory=0), [1]).work() == [ModelFailure]


def test_a_lost_device_fails_all_and_is_remembered() -> None:
    model = FakeModel()
    model.lost = True
    desk = Desk(model, [1, 2, 3])
    assert desk.work() == [DeviceLost] * 3
    assert desk.batcher.device_lost
    assert len(model.batches) == 1  # nothing is tried again


def test_who_has_gone_and_whose_time_is_up_are_not_computed_for() -> None:
    model = FakeModel()
    desk = Desk(model, [1, 2, 3])
    desk.jobs[0].cancel()
    desk.jobs[2].deadline = 0
    assert desk.work() == [None, 2, None]
    assert model.batches == [[2]]


def test_answers_are_kept_and_outlive_their_batch() -> None:
    desk = Desk(FakeModel(), [1, 2])
    desk.work()
    assert len(desk.cache) == 2
    assert all(isinstance(job.result and job.result.vector, bytes) for job in desk.jobs)


@pytest.mark.parametrize("lane", Lane)
def test_the_pace_is_measured_by_lane(lane: Lane) -> None:
    desk = Desk(FakeModel(), [1, 2], lane=lane)
    desk.work()
    assert [desk.batcher.seconds_per_image[each] > 0 for each in Lane] == [each is lane for each in Lane]


def test_too_late_says_so() -> None:
    assert TooLate().reason == "DEADLINE_EXCEEDED"
