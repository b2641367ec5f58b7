"""One queue over several streams: everything is answered once, and no stream holds up the others."""

import asyncio
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from lookalike import InvalidRequestError
from lookalike._transport import retry
from lookalike._transport.stream_pool import StreamPool
from lookalike._transport.window import LEAST
from lookalike.v1.embedder_pb2 import EmbedStreamRequest, EmbedStreamResponse


class Server:
    """A call to a server that answers while it is let; `ending` ends the call in the place of an answer."""

    def __init__(self, *, ending: "grpc.StatusCode | None" = None, after: int = 0, held: bool = False) -> None:
        self.written: list[int] = []
        self.cancelled = False
        self.may_answer = asyncio.Event()
        if not held:
            self.may_answer.set()
        self._ending, self._after = ending, after
        self._requests: asyncio.Queue[EmbedStreamRequest | None] = asyncio.Queue()

    async def write(self, request: EmbedStreamRequest) -> None:
        self.written.append(request.sequence)
        self._requests.put_nowait(request)

    async def done_writing(self) -> None:
        self._requests.put_nowait(None)

    async def read(self) -> Any:  # noqa: ANN401 - a response or EOF, as in gRPC
        request = await self._requests.get()
        await self.may_answer.wait()
        if self._ending and not self._after:
            raise grpc.aio.AioRpcError(self._ending, grpc.aio.Metadata(), grpc.aio.Metadata(), "ended")
        self._after -= 1
        await asyncio.sleep(0)  # as any answer of a server does, it comes a little later
        return grpc.aio.EOF if request is None else EmbedStreamResponse(sequence=request.sequence)

    def cancel(self) -> None:
        self.cancelled = True

    def add_done_callback(self, callback: object) -> None:
        pass


Open = Callable[[], Server]


def into(servers: list[Server]) -> Open:
    """Opens calls to servers that answer all, and notes them."""

    def open_call() -> Server:
        servers.append(Server())
        return servers[-1]

    return open_call


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_DELAY_SECONDS", 0.0)


def stream_pool(
    open_call: Open, numbers: range, *, streams: int = 3, ends: bool = True
) -> "StreamPool[EmbedStreamRequest, EmbedStreamResponse]":
    queue: asyncio.Queue[EmbedStreamRequest | None] = asyncio.Queue()
    for number in numbers:
        queue.put_nowait(EmbedStreamRequest(sequence=number))
    if ends:
        queue.put_nowait(None)
    return StreamPool(open_call, queue, streams=streams, server="embedder", timeout=30)


async def answered(open_call: Open, numbers: range, *, streams: int = 3) -> list[int]:
    return [answer.sequence async for answer in stream_pool(open_call, numbers, streams=streams).answers()]


async def test_every_request_is_answered_once_over_all_streams() -> None:
    servers: list[Server] = []
    answers = await answered(into(servers), range(200))
    assert sorted(answers) == list(range(200))
    assert len(servers) == 3
    assert all(server.written for server in servers)
    assert sum(len(server.written) for server in servers) == 200


async def test_streams_that_end_again_and_again_lose_and_repeat_nothing() -> None:
    def open_call() -> Server:
        return Server(ending=grpc.StatusCode.UNAVAILABLE, after=5)

    assert sorted(await answered(open_call, range(200))) == list(range(200))


async def test_no_stream_is_opened_without_something_to_send() -> None:
    servers: list[Server] = []
    assert await answered(into(servers), range(0)) == []
    assert servers == []
    assert await answered(into(servers), range(1)) == [0]
    assert len(servers) == 1


async def test_further_streams_are_opened_once_there_is_an_answer() -> None:
    """Before, the channel may be connected to one server alone, where they would all stay."""
    servers = [Server(held=True), Server(), Server()]
    left = list(servers)
    answers = stream_pool(lambda: left.pop(0), range(100)).answers()
    first = asyncio.ensure_future(anext(answers))
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(left) == 2
    servers[0].may_answer.set()
    seen = [(await first).sequence] + [answer.sequence async for answer in answers]
    assert sorted(seen) == list(range(100))
    assert not left


async def test_a_server_that_has_stalled_holds_no_more_than_a_window() -> None:
    """The others do the rest, and the run ends when it goes on."""
    servers = [Server(), Server(held=True), Server()]
    opened = iter(servers)
    answers = stream_pool(lambda: next(opened), range(500)).answers()
    seen = [(await anext(answers)).sequence for _ in range(500 - LEAST)]
    assert len(servers[1].written) == LEAST
    servers[1].may_answer.set()
    seen += [answer.sequence async for answer in answers]
    assert sorted(seen) == list(range(500))


async def test_one_refusal_ends_the_run_and_all_streams() -> None:
    servers = [Server(), Server(held=True), Server(ending=grpc.StatusCode.INVALID_ARGUMENT, after=1)]
    opened = iter(servers)
    with pytest.raises(InvalidRequestError):
        await answered(lambda: next(opened), range(500))
    assert all(server.cancelled for server in servers)


@pytest.mark.asyncio(loop_scope="function")  # alone on its loop: servers that other tests share begin tasks at any time
async def test_who_stops_early_closes_all_streams() -> None:
    servers: list[Server] = []
    before = asyncio.all_tasks()
    answers = stream_pool(into(servers), range(500), ends=False).answers()
    for _ in range(100):
        await anext(answers)
    await answers.aclose()
    await asyncio.sleep(0)
    assert len(servers) == 3
    assert all(server.cancelled for server in servers)
    assert asyncio.all_tasks() == before


async def test_a_stream_that_is_kept_out_does_not_end_a_run_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all streams together get answers, nobody has stayed away."""
    ticks = itertools.count(1)
    monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    monkeypatch.setattr(retry, "RETRY_SECONDS", 2.0)  # a third failure in a row would be one too many
    servers: list[Server] = []

    def open_call() -> Server:
        kept_out = 1 <= len(servers) <= 10
        servers.append(Server(ending=grpc.StatusCode.UNAVAILABLE if kept_out else None))
        return servers[-1]

    assert sorted(await answered(open_call, range(500), streams=2)) == list(range(500))
    assert len(servers) > 10
