"""The batcher: batches without a timer, bounded, deaf to the cancelled, and never ended by a failure."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import numpy as np
import pytest

from lookalike_embedder.batcher import Batcher
from lookalike_embedder.errors import ModelFailure
from lookalike_embedder.image import Pixels


def picture(value: int) -> Pixels:
    return np.full((1, 1, 3), value, np.uint8)


class FakeModel:
    """Answers each picture with its own value; can be held, and fails on pictures of value 13."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.alone: list[bool] = []
        self.started = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, pixels: Pixels, *, alone: bool) -> np.ndarray:
        values = [int(value) for value in pixels[:, 0, 0, 0]]
        self.batches.append(values)
        self.alone.append(alone)
        self.started.release()
        self.go_on.wait(30)
        if 13 in values:
            raise RuntimeError("unlucky")
        return np.array([[np.nan if value == 99 else value] for value in values], np.float32)

    async def has_started(self) -> None:
        await asyncio.to_thread(self.started.acquire, timeout=30)


@asynccontextmanager
async def batching(
    model: Callable[..., np.ndarray], *, workers: int = 1, size: int = 4, waiting: int = 100
) -> AsyncIterator[Batcher]:
    threads = [ThreadPoolExecutor(1) for _ in range(workers)]
    batcher = Batcher(model, threads, max_batch_size=size, max_waiting=waiting)
    task = asyncio.create_task(batcher.run())
    yield batcher
    task.cancel()
    for thread in threads:
        thread.shutdown()


async def test_a_batch_forms_while_the_one_before_it_computes() -> None:
    """The first image goes alone at once; those that arrive meanwhile go together, in order, no more than fit."""
    model = FakeModel()
    async with batching(model) as batcher:
        model.go_on.clear()
        first = asyncio.create_task(batcher.embed(picture(1)))
        await model.has_started()
        others = [asyncio.create_task(batcher.embed(picture(value))) for value in range(2, 8)]
        await asyncio.sleep(0)
        model.go_on.set()
        vectors = await asyncio.gather(first, *others)
    assert [int(vector[0]) for vector in vectors] == [1, 2, 3, 4, 5, 6, 7]
    assert model.batches == [[1], [2, 3, 4, 5], [6, 7]]


async def test_workers_compute_at_the_same_time_and_only_a_lone_one_gets_the_machine() -> None:
    model = FakeModel()
    async with batching(model, workers=2, size=1) as batcher:
        model.go_on.clear()
        first = asyncio.create_task(batcher.embed(picture(1)))
        await model.has_started()
        second = asyncio.create_task(batcher.embed(picture(2)))
        await model.has_started()
        model.go_on.set()
        await asyncio.gather(first, second)
        await batcher.embed(picture(3))
    assert model.alone == [True, False, True]


async def test_one_bad_image_fails_alone_and_the_loop_goes_on() -> None:
    model = FakeModel()
    async with batching(model) as batcher:
        model.go_on.clear()
        first = asyncio.create_task(batcher.embed(picture(1)))
        await model.has_started()
        others = [asyncio.create_task(batcher.embed(picture(value))) for value in (2, 13, 4)]
        await asyncio.sleep(0)
        model.go_on.set()
        results = await asyncio.gather(first, *others, return_exceptions=True)
        assert [isinstance(result, ModelFailure) for result in results] == [False, False, True, False]
        assert int((await batcher.embed(picture(5)))[0]) == 5


async def test_a_vector_that_is_not_finite_is_a_failure() -> None:
    async with batching(FakeModel()) as batcher:
        with pytest.raises(ModelFailure):
            await batcher.embed(picture(99))


async def test_a_caller_who_has_gone_is_not_computed_for() -> None:
    model = FakeModel()
    async with batching(model) as batcher:
        model.go_on.clear()
        first = asyncio.create_task(batcher.embed(picture(1)))
        await model.has_started()
        gone, stays = (asyncio.create_task(batcher.embed(picture(value))) for value in (2, 3))
        await asyncio.sleep(0)
        gone.cancel()
        model.go_on.set()
        await asyncio.gather(first, stays)
    assert model.batches == [[1], [3]]


async def test_the_queue_is_bounded_and_a_full_one_makes_callers_wait() -> None:
    model = FakeModel()
    async with batching(model, size=1, waiting=2) as batcher:
        model.go_on.clear()
        calls = [asyncio.create_task(batcher.embed(picture(value))) for value in range(10)]
        await model.has_started()
        for _ in range(5):
            await asyncio.sleep(0)
        assert batcher._jobs.qsize() == 2
        model.go_on.set()
        assert len(await asyncio.gather(*calls)) == 10


async def test_overload_says_how_many_are_ahead_and_when_to_come_back() -> None:
    """The more calls are in flight, the later; never sooner than a tenth of a second."""
    async with batching(FakeModel()) as batcher:
        await batcher.embed(picture(1))
        assert batcher.overloaded(7).metadata == {"in_flight": "7"}
        assert batcher.overloaded(0).retry_seconds == pytest.approx(0.1)
        assert batcher.overloaded(10**9).retry_seconds > batcher.overloaded(10**8).retry_seconds


async def test_a_fresh_success_saves_the_probe_a_forward_pass() -> None:
    model = FakeModel()
    async with batching(model) as batcher:
        await batcher.probe(fresh_seconds=60)
        await batcher.probe(fresh_seconds=60)
        assert len(model.batches) == 1
        await batcher.probe(fresh_seconds=0)
        assert len(model.batches) == 2
