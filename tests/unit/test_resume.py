"""A stream that survives: every request is answered once, whatever happens to the connection."""

import asyncio
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from lookalike import DeadlineExceededError, InvalidRequestError, LookalikeError, UnavailableError
from lookalike._transport import retry
from lookalike._transport.message_batches import IMAGES
from lookalike._transport.stream import ResumableStream, not_closed
from lookalike._transport.window import LEAST
from lookalike.constants import ENTRIES_METADATA
from lookalike.v1.embedder_pb2 import EmbedStreamRequest, EmbedStreamResponse
from lookalike_embedder.errors import STATUS, Overloaded
from lookalike_serving.errors import DomainError, ShuttingDown, StreamAged

Answer = grpc.StatusCode | grpc.aio.AioRpcError | None


def ended_by(error: DomainError) -> grpc.aio.AioRpcError:
    """What gRPC raises for an embedder's refusal."""
    status = rpc_status.to_status(STATUS.status(error))
    return grpc.aio.AioRpcError(
        status.code, grpc.aio.Metadata(), grpc.aio.Metadata(*status.trailing_metadata), status.details
    )


class FakeCall:
    """A call that answers as `script` says: None waits for the next request's own answer, all else ends the call."""

    def __init__(self, script: list[Answer]) -> None:
        self.script = script
        self.written: list[int] = []
        self.requests: asyncio.Queue[EmbedStreamRequest | None] = asyncio.Queue()

    async def write(self, request: EmbedStreamRequest) -> None:
        self.written.append(request.sequence)
        self.requests.put_nowait(request)

    async def done_writing(self) -> None:
        self.requests.put_nowait(None)

    async def read(self) -> Any:  # noqa: ANN401 - a response or EOF, as in gRPC
        step = self.script.pop(0) if self.script else None
        if isinstance(step, grpc.aio.AioRpcError):
            raise step
        if isinstance(step, grpc.StatusCode):
            raise grpc.aio.AioRpcError(step, grpc.aio.Metadata(), grpc.aio.Metadata(), "scripted")
        request = await self.requests.get()
        return grpc.aio.EOF if request is None else EmbedStreamResponse(sequence=request.sequence)

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata()

    def cancel(self) -> None:
        pass

    def add_done_callback(self, callback: object) -> None:
        pass


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_DELAY_SECONDS", 0.0)
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.01)


def queue_of(*numbers: int) -> "asyncio.Queue[EmbedStreamRequest | None]":
    queue: asyncio.Queue[EmbedStreamRequest | None] = asyncio.Queue()
    for number in numbers:
        queue.put_nowait(EmbedStreamRequest(sequence=number))
    queue.put_nowait(None)
    return queue


async def answered(open_call: Callable[[], FakeCall], *numbers: int, timeout: float = 30) -> list[int]:
    stream: ResumableStream[EmbedStreamRequest, EmbedStreamResponse] = ResumableStream(
        open_call,
        queue_of(*numbers),
        server="embedder",
        timeout=timeout,
    )
    return [answer.sequence async for answer in stream.answers()]


def batched(
    open_call: Callable[[], FakeCall], queue: "asyncio.Queue[EmbedStreamRequest | None]"
) -> ResumableStream[EmbedStreamRequest, EmbedStreamResponse]:
    return ResumableStream(open_call, queue, server="embedder", timeout=30, soon=1.0, batches=IMAGES)


async def test_what_is_unanswered_is_sent_again_and_nothing_is_answered_twice() -> None:
    calls = [FakeCall([None, grpc.StatusCode.UNAVAILABLE]), FakeCall([None, grpc.StatusCode.UNAVAILABLE]), FakeCall([])]
    opened = iter(calls)
    assert await answered(lambda: next(opened), 1, 2, 3, 4) == [1, 2, 3, 4]
    assert 1 not in calls[1].written + calls[2].written
    assert 2 not in calls[2].written


class Bundling(FakeCall):
    """Takes some at once, and says so with its first answer.

    Args:
        answers: how many messages it answers before it is lost; it answers the first image of a message alone, if it is
            to be lost, else all together.
    """

    def __init__(self, answers: int | None = None) -> None:
        super().__init__([])
        self.messages: list[list[int]] = []
        self._answers = answers

    async def write(self, request: EmbedStreamRequest) -> None:
        self.messages.append([entry.sequence for entry in request.entries or [request]])
        self.requests.put_nowait(request)
        await asyncio.sleep(0)

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata((ENTRIES_METADATA, "6"))

    async def read(self) -> Any:  # noqa: ANN401
        if self._answers == 0:
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "lost")
        if (request := await self.requests.get()) is None:
            return grpc.aio.EOF
        sequences = [entry.sequence for entry in request.entries or [request]]
        if self._answers:
            self._answers -= 1
            sequences = sequences[:1]
        return EmbedStreamResponse(entries=[EmbedStreamResponse(sequence=sequence) for sequence in sequences])


async def test_what_is_ready_travels_together_once_the_server_has_said_that_it_takes_it() -> None:
    call, numbers = Bundling(), list(range(1, 41))
    answers = [answer.sequence async for answer in batched(lambda: call, queue_of(*numbers)).answers()]
    assert answers == [number for message in call.messages for number in message] == numbers
    assert call.messages[0] == [1]  # as to any server
    assert max(map(len, call.messages)) == 6


async def test_of_what_travelled_together_only_what_is_unanswered_is_sent_again() -> None:
    lost, next_one = Bundling(answers=20), Bundling()
    opened, numbers = iter([lost, next_one]), range(1, 41)
    answers = [answer.sequence async for answer in batched(lambda: next(opened), queue_of(*numbers)).answers()]
    assert sorted(answers) == list(numbers)
    assert max(map(len, lost.messages)) == 6
    again = [number for message in next_one.messages for number in message]
    assert not set(again) & set(answers[:20])


async def test_to_a_server_that_knows_nothing_of_it_nothing_travels_together() -> None:
    knowing, other = Bundling(answers=20), FakeCall([])
    opened, numbers = iter([knowing, other]), range(1, 201)
    answers = [answer.sequence async for answer in batched(lambda: next(opened), queue_of(*numbers)).answers()]
    assert sorted(answers) == list(numbers)
    assert set(answers[20:]) <= set(other.written)  # each by its own number


async def test_no_more_travels_together_than_there_is_room_for() -> None:
    call, answered = Bundling(), 0
    async for _ in batched(lambda: call, queue_of(*range(1, 100))).answers():
        answered += 1
        on_the_way = sum(map(len, call.messages)) - answered
        assert on_the_way <= LEAST + answered


async def test_what_was_not_asked_for_is_no_answer() -> None:
    class Twice(FakeCall):
        async def read(self) -> Any:  # noqa: ANN401
            answer = await super().read()
            return answer and EmbedStreamResponse(entries=[answer, EmbedStreamResponse(sequence=1)])

    answers = [answer.sequence async for answer in batched(lambda: Twice([]), queue_of(1, 2, 3)).answers()]
    assert answers == [1, 2, 3]


async def test_a_stream_that_was_ended_on_purpose_is_opened_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has aged it, or drains: that is no failure, as long as it answered something."""
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.0)  # whoever waits, fails
    for error in (StreamAged(), ShuttingDown()):
        opened = iter([FakeCall([None, ended_by(error)]), FakeCall([None, None, ended_by(error)]), FakeCall([])])
        assert await answered(partial(next, opened), 1, 2, 3, 4, 5) == [1, 2, 3, 4, 5]
    with pytest.raises(UnavailableError, match="shutting down"):
        await answered(lambda: FakeCall([ended_by(ShuttingDown())]), 1)


async def test_a_server_with_too_many_streams_is_asked_again_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(retry, "asyncio", SimpleNamespace(sleep=sleep))
    opened = iter([FakeCall([ended_by(Overloaded(64, 7.5, what="streams"))]), FakeCall([])])
    assert await answered(lambda: next(opened), 1, 2) == [1, 2]
    assert waits == [7.5]


async def test_a_server_that_stays_away_is_given_up() -> None:
    opened = 0

    def open_call() -> FakeCall:
        nonlocal opened
        opened += 1
        return FakeCall([grpc.StatusCode.UNAVAILABLE])

    with pytest.raises(UnavailableError, match="embedder: scripted"):
        await answered(open_call, 1)
    assert opened > 1


async def test_progress_resets_the_patience() -> None:
    """Twenty lost connections are no reason to give up when each brought an answer."""
    numbers = range(1, 21)
    answers = await answered(lambda: FakeCall([None, grpc.StatusCode.UNAVAILABLE]), *numbers)
    assert sorted(answers) == list(numbers)


async def test_an_internal_error_of_grpc_itself_is_a_lost_stream_and_one_of_the_server_is_not() -> None:
    """A write that is under way when a stream ends makes grpc.aio forget why it ended."""
    opened = iter([FakeCall([None, grpc.StatusCode.INTERNAL]), FakeCall([])])
    assert await answered(lambda: next(opened), 1, 2) == [1, 2]


async def test_a_refusal_is_not_repeated() -> None:
    with pytest.raises(InvalidRequestError):
        await answered(lambda: FakeCall([grpc.StatusCode.INVALID_ARGUMENT]), 1)


async def test_a_server_that_owes_an_answer_too_long_is_given_up() -> None:
    class Silent(FakeCall):
        async def read(self) -> Any:  # noqa: ANN401
            await asyncio.Event().wait()

    with pytest.raises(DeadlineExceededError, match=r"no answer for 0\.01 s"):
        await answered(lambda: Silent([]), 1, timeout=0.01)


async def test_a_server_that_fell_silent_is_asked_again() -> None:
    class Silent(FakeCall):
        async def read(self) -> Any:  # noqa: ANN401
            await asyncio.Event().wait()

    opened = iter([Silent([]), FakeCall([])])
    assert await answered(lambda: next(opened), 1, 2, timeout=0.01) == [1, 2]


async def test_a_call_is_repeated_while_the_server_is_away() -> None:
    outcomes = iter([UnavailableError("away"), UnavailableError("away"), None])

    async def call() -> str:
        if failure := next(outcomes):
            raise failure
        return "here"

    assert await retry.with_retries(call) == "here"


async def test_a_channel_closed_under_a_call_is_an_error_and_not_a_cancellation() -> None:
    async def call() -> None:
        raise asyncio.CancelledError

    with pytest.raises(LookalikeError, match="the client is closed"):
        await not_closed(call)
