"""The engine: both lanes from bytes to answers, bounds, refusals, priorities, the cache, and the probe."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from lookalike_embedder import job, views
from lookalike_embedder.bounds import Bounds
from lookalike_embedder.decoder import Decode, PixelRoom
from lookalike_embedder.engine import Engine
from lookalike_embedder.errors import DeviceLost, InvalidImage, InvalidText, ModelFailure, Overloaded, TooLate
from lookalike_embedder.image import Info, Pixels, Room
from lookalike_embedder.job import Embedded, Job, Lane
from lookalike_embedder.metrics import Metrics
from lookalike_embedder.text import Tokens
from lookalike_serving.errors import ShuttingDown

BOUNDS = Bounds(interactive=4, in_flight_bytes=4000, decoding_pixels=100, cached=10)


class FakeModel:
    """Answers each picture with its value; each lane can be held, and says which batches it began."""

    def __init__(self) -> None:
        self.batches: list[tuple[Lane, list[int]]] = []
        self.go_on = {lane: threading.Event() for lane in Lane}
        self.started = {lane: threading.Semaphore(0) for lane in Lane}
        self.pauses: list[float] = []
        self.lost = False
        for event in self.go_on.values():
            event.set()

    def __call__(self, pixels: Sequence[Pixels], lane: Lane, pause: Callable[[], None]) -> np.ndarray:
        values = [int(picture.flat[0]) for picture in pixels]
        self.batches.append((lane, values))
        self.started[lane].release()
        assert self.go_on[lane].wait(30)
        if self.lost:
            raise DeviceLost
        started = time.monotonic()
        pause()
        self.pauses.append(time.monotonic() - started)
        return np.array([[value] for value in values], np.float32)

    async def has_started(self, lane: Lane) -> None:
        assert await asyncio.to_thread(self.started[lane].acquire, timeout=30)


class FakeTextEncoder:
    """Answers each text with its number; it can be held."""

    max_tokens = 2

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started, self.go_on = threading.Semaphore(0), threading.Event()
        self.go_on.set()

    def tokenise(self, text: str) -> Tokens:
        if not text.isdecimal():
            raise InvalidText("TOO_MANY_TOKENS", "text: too many")
        return np.array([int(text)])

    def __call__(self, texts: Sequence[Tokens]) -> np.ndarray:
        self.batches.append([int(text[0]) for text in texts])
        self.started.release()
        assert self.go_on.wait(30)
        return np.array([[number if number < 100 else np.nan] for number in self.batches[-1]], np.float32)


def decode(data: bytes, room: Room) -> tuple[Info, Pixels]:
    """The first byte is the picture; 0 is no picture."""
    if not data[0]:
        raise InvalidImage("CORRUPT_IMAGE", "image: broken")
    with room(len(data)):
        return Info("JPEG", 1, 1, 1), np.full((1, 1, 3), data[0], np.uint8)


@asynccontextmanager
async def running(
    model: FakeModel,
    bounds: Bounds = BOUNDS,
    *,
    size: int = 4,
    text: FakeTextEncoder | None = None,
    decoding: Decode = decode,
) -> AsyncIterator[tuple[Engine, Metrics]]:
    metrics = Metrics()
    with ThreadPoolExecutor(1) as first:
        engine = Engine(
            model,
            decoding,
            metrics,
            bounds,
            first=first,
            bulk_workers=1,
            decode_threads=1,
            max_batch_size=size,
            text=text,
        )
        async with engine:
            yield engine, metrics


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"lookalike_embedder_{name}", labels) or 0.0


def value(job: Job) -> float:
    assert isinstance(job.result, Embedded)
    return float(np.frombuffer(job.result.vector, "<f4")[0])


async def until(condition: Callable[[], bool]) -> None:
    """Let the other threads go on until something is so; the test's own time limit bounds it."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens on threads that tell nobody
        await asyncio.sleep(0)


class Bulk:
    """Collects the answers to bulk images."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.jobs: list[Job] = []
        self.answered: asyncio.Queue[Job] = asyncio.Queue()

    async def send(self, *images: bytes) -> None:
        for data in images:
            self.jobs.append(await self.engine.submit(data, self.answered.put_nowait))

    async def values(self, number: int) -> list[float]:
        return [value(await asyncio.wait_for(self.answered.get(), 120)) for _ in range(number)]


async def test_a_fingerprint_is_made_for_those_who_ask_and_kept_for_them() -> None:
    model = FakeModel()
    async with running(model) as (engine, _):
        jobs = [await engine.embed(b"\7", fingerprint=wanted) for wanted in (False, True, True, False)]
    assert [job.result.fingerprint is not None for job in jobs if job.result] == [False, True, True, True]
    assert len(model.batches) == 2, "one without it, and one with it"


async def test_views_are_bulk_work_in_batches_of_the_usual_size_beside_other_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cut(pixels: Pixels) -> list[Pixels]:
        return [np.full_like(pixels, 100 + number) for number in range(5)]

    monkeypatch.setattr(views, "of", cut)
    model = FakeModel()
    async with running(model) as (engine, _):
        model.go_on[Lane.BULK].clear()
        thorough = asyncio.create_task(engine.embed(b"\x07", views=True))
        await model.has_started(Lane.BULK)
        assert value(await engine.embed(b"\x08")) == 8, "others do not wait for it"
        model.go_on[Lane.BULK].set()
        job = await thorough
        again = await engine.embed(b"\x07", views=True)
    assert value(job) == 7
    assert isinstance(job.result, Embedded)
    assert [float(np.frombuffer(view, "<f4")[0]) for view in job.result.views] == [100, 101, 102, 103, 104]
    assert [values for lane, values in model.batches if lane is Lane.BULK] == [[7, 100, 101, 102], [103, 104]]
    assert again.cached


async def test_an_image_becomes_a_vector_and_says_where_the_time_went() -> None:
    async with running(FakeModel()) as (engine, _):
        job = await engine.embed(b"\7")
    assert value(job) == 7
    assert job.result
    assert job.result.info == Info("JPEG", 1, 1, 1)
    assert job.compute_seconds > 0
    assert job.total_seconds >= job.decode_seconds + job.compute_seconds
    assert not job.cached


async def test_interactive_work_is_answered_while_a_bulk_batch_computes_and_others_wait() -> None:
    model = FakeModel()
    async with running(model, size=1) as (engine, _):
        model.go_on[Lane.BULK].clear()
        bulk = Bulk(engine)
        await bulk.send(b"\1", b"\2", b"\3")
        await model.has_started(Lane.BULK)
        assert value(await engine.embed(b"\7")) == 7
        assert bulk.answered.empty()
        model.go_on[Lane.BULK].set()
        assert await bulk.values(3) == [1, 2, 3]
    assert model.batches[:2] == [(Lane.BULK, [1]), (Lane.INTERACTIVE, [7])]


async def test_a_bulk_batch_forms_while_the_one_before_it_computes() -> None:
    model = FakeModel()
    async with running(model) as (engine, metrics):
        model.go_on[Lane.BULK].clear()
        bulk = Bulk(engine)
        await bulk.send(b"\1")
        await model.has_started(Lane.BULK)
        await bulk.send(b"\2", b"\3", b"\4")
        await until(lambda: sample(metrics, "queue_depth", lane="bulk", stage="compute") == 3)
        model.go_on[Lane.BULK].set()
        assert sorted(await bulk.values(4)) == [1, 2, 3, 4]
    assert model.batches == [(Lane.BULK, [1]), (Lane.BULK, [2, 3, 4])]


async def test_bulk_stands_aside_between_layers_while_interactive_work_computes() -> None:
    model = FakeModel()
    async with running(model, size=1) as (engine, metrics):
        bulk = Bulk(engine)
        await bulk.send(b"\1")
        await bulk.values(1)  # its pace is known now: it bounds how long the next one stands aside
        model.go_on[Lane.INTERACTIVE].clear()
        urgent = asyncio.create_task(engine.embed(b"\7"))
        await model.has_started(Lane.INTERACTIVE)
        await bulk.send(b"\2")
        assert await bulk.values(1) == [2]  # it stood aside for its share, and went on: bulk never starves
        assert sample(metrics, "stood_aside_seconds_total") > 0
        model.go_on[Lane.INTERACTIVE].set()
        assert value(await urgent) == 7


async def test_a_broken_image_fails_alone_and_is_counted_by_reason() -> None:
    async with running(FakeModel()) as (engine, metrics):
        with pytest.raises(InvalidImage):
            await engine.embed(b"\0")
        bulk = Bulk(engine)
        await bulk.send(b"\0", b"\5")
        failed, good = [await bulk.answered.get() for _ in range(2)]
        assert isinstance(failed.failure, InvalidImage)
        assert value(good) == 5
        assert sample(metrics, "errors_total", lane="bulk", reason="CORRUPT_IMAGE") == 1


async def test_texts_go_before_bulk_images_in_batches_of_their_own() -> None:
    model, text = FakeModel(), FakeTextEncoder()
    async with running(model, text=text) as (engine, metrics):
        model.go_on[Lane.BULK].clear()
        bulk = Bulk(engine)
        await bulk.send(b"\1")
        await model.has_started(Lane.BULK)
        text.go_on.clear()
        first = asyncio.create_task(engine.embed_text("3"))
        assert await asyncio.to_thread(text.started.acquire, timeout=30)
        mixed = [engine.embed_text("4"), engine.embed(b"\7"), engine.embed_text("5")]
        calls = [asyncio.create_task(call) for call in mixed]
        await until(lambda: sample(metrics, "queue_depth", lane="interactive", stage="compute") == 3)
        text.go_on.set()
        assert [value(job) for job in await asyncio.gather(first, *calls)] == [3, 4, 7, 5]
        assert bulk.answered.empty()
        model.go_on[Lane.BULK].set()
        assert await bulk.values(1) == [1]
    assert text.batches == [[3], [4, 5]]
    assert (Lane.INTERACTIVE, [7]) in model.batches


async def test_a_text_that_fails_fails_alone_and_proves_nothing_of_images() -> None:
    model, text = FakeModel(), FakeTextEncoder()
    async with running(model, text=text) as (engine, metrics):
        for words, reason in ((" ", "EMPTY_TEXT"), ("a" * 1001, "TEXT_TOO_LONG"), ("many", "TOO_MANY_TOKENS")):
            with pytest.raises(InvalidText):
                await engine.embed_text(words)
            assert sample(metrics, "errors_total", lane="interactive", reason=reason) == 1
        with pytest.raises(ModelFailure, match="on this text"):
            await engine.embed_text("100")
        assert value(await engine.embed_text("6")) == 6
        await engine.probe(fresh_seconds=60)
        assert len(model.batches) == 1, "the probe has embedded a picture"
        assert sample(metrics, "in_flight_bytes", lane="interactive") == 0


async def test_texts_ahead_are_counted_at_their_own_pace() -> None:
    """Where a picture takes minutes and a text no time, a text behind another one is not refused."""
    text = FakeTextEncoder()
    async with running(FakeModel(), text=text) as (engine, _):
        await engine.embed_text("1")
        engine._batcher.seconds_per_image[Lane.INTERACTIVE] = 600
        engine._batcher.seconds_per_text = 0
        text.go_on.clear()
        ahead = asyncio.create_task(engine.embed_text("2"))
        assert await asyncio.to_thread(text.started.acquire, timeout=30)
        assert await asyncio.to_thread(text.started.acquire, timeout=30)
        after = asyncio.create_task(engine.embed_text("3", seconds=30))
        await asyncio.sleep(0)
        picture = asyncio.create_task(engine.embed(b"\7"))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await engine.embed_text("4", seconds=30)
        text.go_on.set()
        assert [value(job) for job in await asyncio.gather(ahead, after, picture)] == [2, 3, 7]


async def test_what_is_in_flight_is_bounded_and_a_full_engine_refuses_and_says_when_to_return() -> None:
    model = FakeModel()
    async with running(model) as (engine, metrics):
        await engine.embed(b"\1")  # the pace is known now
        model.go_on[Lane.INTERACTIVE].clear()
        calls = [asyncio.create_task(engine.embed(bytes([number]))) for number in range(2, 6)]
        await model.has_started(Lane.INTERACTIVE)
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await engine.embed(b"\6")
        assert sample(metrics, "errors_total", lane="interactive", reason="OVERLOADED") == 1
        assert caught.value.metadata == {"in_flight": "4"}
        assert caught.value.retry_seconds >= 0.1
        assert list(caught.value.details())
        model.go_on[Lane.INTERACTIVE].set()
        assert [value(job) for job in await asyncio.gather(*calls)] == [2, 3, 4, 5]


async def test_bytes_in_flight_are_bounded_too_and_bulk_leaves_interactive_its_share() -> None:
    model = FakeModel()
    async with running(model) as (engine, metrics):
        model.go_on[Lane.BULK].clear()
        bulk = Bulk(engine)
        sending = asyncio.create_task(bulk.send(*(bytes([number]) * 900 for number in range(1, 6))))
        await model.has_started(Lane.BULK)
        await until(lambda: len(bulk.jobs) == 3)  # 3,000 of the 4,000 bytes are bulk's
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(bulk.jobs) == 3
        assert sample(metrics, "in_flight_bytes", lane="bulk") == 2700
        assert value(await engine.embed(b"\7" * 900)) == 7
        model.go_on[Lane.BULK].set()
        await sending
        assert sorted(await bulk.values(5)) == [1, 2, 3, 4, 5]
        assert sample(metrics, "in_flight_bytes", lane="bulk") == 0


async def test_nothing_is_accepted_that_would_come_too_late() -> None:
    model = FakeModel()
    async with running(model) as (engine, _):
        await engine.embed(b"\1")
        model.go_on[Lane.INTERACTIVE].clear()
        ahead = asyncio.create_task(engine.embed(b"\2"))
        await model.has_started(Lane.INTERACTIVE)
        with pytest.raises(Overloaded, match="deadline"):
            await engine.embed(b"\3", seconds=0)
        model.go_on[Lane.INTERACTIVE].set()
        await ahead
        assert value(await engine.embed(b"\4", seconds=30)) == 4


async def test_callers_without_a_deadline_are_taken_to_wait_for_twenty_seconds() -> None:
    model = FakeModel()
    async with running(model) as (engine, _):
        engine._batcher.seconds_per_image[Lane.INTERACTIVE] = 5.0
        model.go_on[Lane.INTERACTIVE].clear()
        ahead = [asyncio.create_task(engine.embed(bytes([number]))) for number in (1, 2)]
        await model.has_started(Lane.INTERACTIVE)
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):  # behind 10 s, which is more than 0.3 of 20
            await engine.embed(b"\3")
        model.go_on[Lane.INTERACTIVE].set()
        await asyncio.gather(*ahead)


async def test_a_caller_who_has_gone_is_not_computed_for() -> None:
    model = FakeModel()
    async with running(model, size=1) as (engine, _):
        model.go_on[Lane.INTERACTIVE].clear()
        first = asyncio.create_task(engine.embed(b"\1"))
        await model.has_started(Lane.INTERACTIVE)
        gone, stays = (asyncio.create_task(engine.embed(bytes([number]))) for number in (2, 3))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait({gone})
        model.go_on[Lane.INTERACTIVE].set()
        await asyncio.gather(first, stays)
    assert (Lane.INTERACTIVE, [2]) not in model.batches


@pytest.mark.parametrize("size", [1, 300_000], ids=["hashed on the loop", "hashed by a decoder"])
async def test_the_same_file_is_embedded_once(size: int) -> None:
    bounds = Bounds(interactive=4, in_flight_bytes=10_000_000, decoding_pixels=100, cached=10)
    model = FakeModel()
    async with running(model, bounds) as (engine, metrics):
        first, again = [await engine.embed(b"\7" * size) for _ in range(2)]
        bulk = Bulk(engine)
        await bulk.send(b"\7" * size)
        assert await bulk.values(1) == [7]
        assert (first.cached, again.cached) == (False, True)
        assert sample(metrics, "cache_lookups_total", result="hit") == 2
        assert sample(metrics, "cache_entries") == 1
        assert sample(metrics, "images_total", lane="bulk", source="cache") == 1
    assert len(model.batches) == 1


async def test_a_lost_device_ends_all_work() -> None:
    model = FakeModel()
    async with running(model) as (engine, _):
        model.lost = True
        with pytest.raises(DeviceLost):
            await engine.embed(b"\1")
        with pytest.raises(DeviceLost):
            await engine.embed(b"\2")
        with pytest.raises(DeviceLost):
            await engine.submit(b"\3", lambda _: None)
        with pytest.raises(DeviceLost):
            await engine.probe(60)
    assert len(model.batches) == 1


async def test_a_fresh_success_saves_the_probe_a_forward_pass() -> None:
    model = FakeModel()
    async with running(model) as (engine, _):
        await engine.probe(fresh_seconds=60)
        await engine.probe(fresh_seconds=60)
        assert len(model.batches) == 1
        await engine.probe(fresh_seconds=0)  # the probe's picture is another one each time: no cache knows it
        assert len(model.batches) == 2


def taken_within(room: PixelRoom, lane: Lane, pixels: int) -> int:
    """How much is taken once there is room for so much more."""
    with room.hold(lane, pixels):
        return room.held_pixels


def test_pixels_being_decoded_are_bounded_but_a_large_image_passes_alone() -> None:
    room = PixelRoom(100)
    with ThreadPoolExecutor(1) as thread, room.hold(Lane.INTERACTIVE, 60):
        waiting = thread.submit(taken_within, room, Lane.INTERACTIVE, 1000)
        with room.hold(Lane.INTERACTIVE, 40):
            assert room.held_pixels == 100
        assert not waiting.done()
    assert waiting.result(10) == 1000
    assert room.held_pixels == 0


def test_bulk_leaves_half_of_the_room_to_interactive_images() -> None:
    room = PixelRoom(100)
    with ThreadPoolExecutor(1) as thread, room.hold(Lane.BULK, 50):
        waiting = thread.submit(taken_within, room, Lane.BULK, 1)
        with room.hold(Lane.INTERACTIVE, 50):
            assert room.held_pixels == 100
        assert not waiting.done()
    assert waiting.result(10) == 1


def test_a_closed_room_lets_nobody_in() -> None:
    room = PixelRoom(100)
    with ThreadPoolExecutor(1) as thread, room.hold(Lane.BULK, 50):
        waiting = thread.submit(taken_within, room, Lane.BULK, 1)
        room.close()
        assert isinstance(waiting.exception(10), ShuttingDown)


async def test_bulk_keeps_its_pace_beside_interactive_work_without_a_gap() -> None:
    """What it stands aside for does not count as its pace, or it would stand aside the longer the longer it does."""
    model = FakeModel()
    async with running(model, size=1) as (engine, _):
        bulk = Bulk(engine)
        await bulk.send(b"\1")
        await bulk.values(1)
        model.go_on[Lane.INTERACTIVE].clear()
        urgent = asyncio.create_task(engine.embed(b"\7"))
        await model.has_started(Lane.INTERACTIVE)
        for number in range(20, 40):
            await bulk.send(bytes([number]))
            await bulk.values(1)
        pace = engine._batcher.seconds_per_image[Lane.BULK]
        assert max(model.pauses) > pace  # it did stand aside
        assert max(model.pauses) < 1  # and not ever longer: 1.6 to the power of 20 is 12,000
        model.go_on[Lane.INTERACTIVE].set()
        await urgent


async def test_what_is_ahead_is_counted_at_the_pace_of_the_slower_stage_and_texts_at_their_own() -> None:
    model, text = FakeModel(), FakeTextEncoder()
    async with running(model, text=text) as (engine, _):
        await engine.embed(b"\1")
        await model.has_started(Lane.INTERACTIVE)
        assert engine._decoder.seconds_per_image > 0
        model.go_on[Lane.INTERACTIVE].clear()
        ahead = [asyncio.create_task(engine.embed(bytes([number]))) for number in (2, 3)]
        await model.has_started(Lane.INTERACTIVE)
        engine._decoder.seconds_per_image = 5.0
        with pytest.raises(Overloaded):  # behind 10 s, which is more than 0.3 of 20
            await engine.embed(b"\4")
        engine._decode_threads = 4
        ahead.append(asyncio.create_task(engine.embed_text("5")))
        await asyncio.sleep(0)
        engine._batcher.seconds_per_text = 5.0
        with pytest.raises(Overloaded):  # behind 2.5 s and 5
            await engine.embed_text("6")
        model.go_on[Lane.INTERACTIVE].set()
        assert [value(one) for one in await asyncio.gather(*ahead)] == [2, 3, 5]


async def test_what_is_late_when_its_turn_comes_is_not_computed_and_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model = FakeModel()
    async with running(model, size=1) as (engine, metrics):
        model.go_on[Lane.INTERACTIVE].clear()
        first = asyncio.create_task(engine.embed(b"\1"))
        await model.has_started(Lane.INTERACTIVE)
        late = asyncio.create_task(engine.embed(b"\2", seconds=3600))
        await until(lambda: engine._lanes.waiting(Lane.INTERACTIVE) == (0, 1))
        monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 7200))
        model.go_on[Lane.INTERACTIVE].set()
        assert value(await first) == 1
        with pytest.raises(TooLate):
            await late
        assert sample(metrics, "errors_total", lane="interactive", reason="DEADLINE_EXCEEDED") == 1
    assert (Lane.INTERACTIVE, [2]) not in model.batches


async def test_neither_bulk_work_nor_what_was_before_the_device_was_lost_proves_that_images_become_vectors() -> None:
    model = FakeModel()
    async with running(model) as (engine, _):
        bulk = Bulk(engine)
        await bulk.send(b"\1")
        assert await bulk.values(1) == [1]
        await engine.probe(fresh_seconds=60)
        assert [lane for lane, _ in model.batches] == [Lane.BULK, Lane.INTERACTIVE]
        model.lost = True
        with pytest.raises(DeviceLost):
            await engine.embed(b"\2")
        assert engine._lost.is_set()
        with pytest.raises(DeviceLost):
            await engine.probe(fresh_seconds=60)


async def test_a_caller_who_has_gone_is_not_decoded_for() -> None:
    begun, may_end, decoded = threading.Event(), threading.Event(), list[bytes]()

    def slowly(data: bytes, room: Room) -> tuple[Info, Pixels]:
        decoded.append(data)
        begun.set()
        assert may_end.wait(30)
        return decode(data, room)

    async with running(FakeModel(), decoding=slowly) as (engine, _):
        first = asyncio.create_task(engine.embed(b"\1"))
        assert await asyncio.to_thread(begun.wait, 30)
        gone, stays = (asyncio.create_task(engine.embed(bytes([number]))) for number in (2, 3))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait({gone})
        may_end.set()
        await asyncio.gather(first, stays)
    assert decoded == [b"\1", b"\3"]
