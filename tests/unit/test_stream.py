"""One bulk stream over an engine that ends jobs when it is told: what goes in one message, and what waits."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

from lookalike.v1.embedder_pb2 import EmbedEntry, EmbedStreamRequest, EmbedStreamResponse
from lookalike_embedder.errors import DeviceLost, TooManyEntries
from lookalike_embedder.job import Job, Lane
from lookalike_embedder.message_limits import MAX_ENTRIES
from lookalike_embedder.stream import BulkStream
from lookalike_serving.errors import ShuttingDown

if TYPE_CHECKING:
    from lookalike_embedder.engine import Engine

WINDOW = 4


class HeldEngine:
    """Takes jobs, and ends all that it has when it is told."""

    window = WINDOW

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.submitted = asyncio.Condition()

    async def submit(self, data: bytes, done: Callable[[Job], None], *, fingerprint: bool) -> Job:
        async with self.submitted:
            self.jobs.append(Job(data, Lane.BULK, done, wants_fingerprint=fingerprint))
            self.submitted.notify_all()
        return self.jobs[-1]

    def end(self, failure: Exception | None = None) -> None:
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job.failure = failure
            job.done(job)


async def sent(
    *messages: EmbedStreamRequest, then: Exception | None = None
) -> AsyncGenerator[EmbedStreamRequest, None]:
    for message in messages:
        yield message
    if then:
        raise then


def together(*numbers: int) -> EmbedStreamRequest:
    return EmbedStreamRequest(entries=[EmbedEntry(sequence=number) for number in numbers])


def alone(*numbers: int) -> list[EmbedStreamRequest]:
    return [EmbedStreamRequest(sequence=number) for number in numbers]


def sequences(message: EmbedStreamResponse) -> list[int]:
    return [entry.sequence for entry in message.entries]


@pytest.fixture
def engine() -> HeldEngine:
    return HeldEngine()


def stream(engine: HeldEngine, requests: AsyncGenerator[EmbedStreamRequest, None]) -> Any:  # noqa: ANN401 - a generator
    return BulkStream(cast("Engine", engine), lambda number, _: EmbedStreamResponse(sequence=number)).answers(requests)


async def held(engine: HeldEngine, number: int) -> None:
    """Until the engine has so many jobs."""
    async with asyncio.timeout(120), engine.submitted:
        await engine.submitted.wait_for(lambda: len(engine.jobs) >= number)


async def test_what_ends_together_is_answered_in_one_message_and_makes_room_for_as_many(engine: HeldEngine) -> None:
    answers = stream(engine, sent(together(*range(10))))
    found = []
    for size in (4, 4, 2):
        message = asyncio.ensure_future(anext(answers))
        await held(engine, size)
        assert len(engine.jobs) == size  # never more than the window
        engine.end()
        found.append(sequences(await message))
    assert found == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    with pytest.raises(StopAsyncIteration):
        await anext(answers)


async def test_who_sends_images_alone_is_answered_one_by_one(engine: HeldEngine) -> None:
    answers = stream(engine, sent(*alone(1, 2, 3)))
    first = asyncio.ensure_future(anext(answers))
    await held(engine, 3)
    engine.end()
    found = [await first, *[answer async for answer in answers]]
    assert [answer.sequence for answer in found] == [1, 2, 3]
    assert not any(answer.entries for answer in found)


async def test_why_the_requests_ended_is_told_after_the_last_answers(engine: HeldEngine) -> None:
    answers = stream(engine, sent(together(1, 2, 3), then=ShuttingDown()))
    message = asyncio.ensure_future(anext(answers))
    await held(engine, 3)
    engine.end()
    assert sequences(await message) == [1, 2, 3]
    with pytest.raises(ShuttingDown):
        await anext(answers)


async def test_a_lost_device_ends_the_stream(engine: HeldEngine) -> None:
    answers = stream(engine, sent(together(1, 2, 3)))
    message = asyncio.ensure_future(anext(answers))
    await held(engine, 3)
    engine.end(DeviceLost())
    with pytest.raises(DeviceLost):
        await message


async def test_a_message_with_too_many_images_is_refused_as_a_whole(engine: HeldEngine) -> None:
    with pytest.raises(TooManyEntries, match="at most 64 in a message"):
        await anext(stream(engine, sent(together(*range(MAX_ENTRIES + 1)))))
    assert not engine.jobs
