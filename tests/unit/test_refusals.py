"""A refusal holds nothing: neither when it comes before the request is received, nor after."""

import asyncio
import gc
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.protobuf.message import DecodeError

from lookalike._transport.channel import EMBEDDER
from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceServicer
from lookalike_embedder.errors import InvalidImage
from lookalike_serving import intake
from lookalike_serving.errors import Context, SentSlowly
from lookalike_serving.intake import Intake
from lookalike_serving.parsing import Limits, Parser
from lookalike_serving.security.authentication import Guard
from lookalike_serving.security.caller import Caller
from lookalike_serving.security.errors import Unauthenticated
from lookalike_serving.server import Server
from tests.memory import resident
from tests.small_server import small_server

MEBIBYTES = 1024 * 1024
LARGE = 4 * MEBIBYTES
CALLS = 24
IMAGE = b"\x0a\x80\x80\x80\x02" + bytes(LARGE)
UNKNOWN = b"\xfa\x7f\x80\x80\x80\x02" + bytes(LARGE)


class Verifier:
    """Knows nobody."""

    async def verify(self, token: str) -> Caller:
        raise Unauthenticated.invalid(token)


class Servicer(EmbedderServiceServicer):
    """Refuses images, in the call itself and in a task of the stream's."""

    async def GetModel(self, request: wire.GetModelRequest, context: Context) -> wire.GetModelResponse:  # noqa: N802
        return wire.GetModelResponse()

    async def Embed(self, request: wire.EmbedRequest, context: Context) -> wire.EmbedResponse:  # noqa: N802
        try:
            return wire.EmbedResponse.FromString(request.image[:1] + b"\xff")
        except DecodeError:
            raise InvalidImage("EMPTY_IMAGE", "image: is none")  # noqa: B904 - what came before is kept with it

    async def EmbedStream(  # noqa: N802
        self, request_iterator: AsyncIterator[wire.EmbedStreamRequest], context: Context
    ) -> AsyncIterator[wire.EmbedStreamResponse]:
        async def read() -> None:
            async for request in request_iterator:
                raise InvalidImage("EMPTY_IMAGE", f"image: {len(request.image)} bytes that are none")

        reader = asyncio.create_task(read())
        await reader
        yield wire.EmbedStreamResponse()


CALLER = """
import sys, grpc
port, method, file = sys.argv[1:]
data = open(file, "rb").read()
with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_send_message_length", -1)]) as channel:
    call = channel.unary_unary(method)
    for times in sys.stdin:
        for _ in range(int(times)):
            try:
                call(data)
            except grpc.RpcError as error:
                details = error.details()
        print(details, flush=True)
"""
"""Makes a call as often as it is told. A process of its own, as its memory is not what is looked at."""


@asynccontextmanager
async def serving(servicer: "Servicer | None" = None, *, by_token: bool = False) -> AsyncIterator[Server]:
    async with small_server(
        servicer or Servicer(),  # type: ignore[abstract] # EmbedText is not called here
        options=[("grpc.max_receive_message_length", 16 * MEBIBYTES)],
        guard=Guard(Verifier()) if by_token else None,
        limits=Limits({f"{EMBEDDER}/Embed": None, f"{EMBEDDER}/EmbedStream": None}),
    ) as server:
        yield server


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.max_send_message_length", -1)]
    async with serving() as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=options) as channel:
        yield channel


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize(
    ("by_token", "method", "data", "says"),
    [
        (True, "Embed", IMAGE, "authorization: a bearer token is required"),
        (True, "EmbedStream", IMAGE, "authorization: a bearer token is required"),
        (False, "Embed", IMAGE, "image: is none"),
        (False, "EmbedStream", b"\x12" + IMAGE[1:], f"image: {LARGE} bytes that are none"),
        (False, "GetModel", UNKNOWN, f"message: a request of GetModel must be at most 16384 bytes, got {len(UNKNOWN)}"),
        (False, "Embed", b"\x80" * LARGE, "message: its bytes are no request of Embed"),
        (False, "EmbedStream", b"\x80" * LARGE, "message: its bytes are no request of EmbedStream"),
        (False, "EmbedStream", b"\x1a\x00" * (LARGE // 2), "message: it has more fields than a request of EmbedStream"),
    ],
)
async def test_nothing_is_held_of_what_was_refused(
    tmp_path: Path, method: str, data: bytes, says: str, *, by_token: bool
) -> None:
    """With the collector switched off: a fourth of what was sent would be seen."""
    (tmp_path / "data").write_bytes(data)
    async with serving(by_token=by_token) as server:
        arguments = ("-c", CALLER, str(server.port), f"/{EMBEDDER}/{method}", str(tmp_path / "data"))
        caller = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=PIPE)
        assert caller.stdin
        assert caller.stdout
        before = 0
        for times in (4, CALLS):
            before = resident()
            caller.stdin.write(f"{times}\n".encode())
            assert (await caller.stdout.readline()).decode().startswith(says)
        assert resident() - before < CALLS * LARGE / 4
        caller.stdin.close()
        await caller.wait()


async def refused(channel: grpc.aio.Channel, method: str, data: bytes) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(f"/{EMBEDDER}/{method}")(data)
    return caught.value.code()


async def test_who_sends_slowly_gives_way_to_who_waits(
    channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_RECEIVING", 3)
    monkeypatch.setattr(intake, "_PATIENCE_SECONDS", 0.05)
    slow: list[grpc.aio.StreamUnaryCall[bytes, bytes]] = [
        channel.stream_unary(f"/{EMBEDDER}/GetModel")() for _ in range(3)
    ]
    get: Any = channel.unary_unary(f"/{EMBEDDER}/GetModel")
    for _ in range(20):
        await get(b"")
    codes = []
    for call in slow:
        if call.done():
            codes.append(await call.code())
        call.cancel()
    assert codes
    assert set(codes) == {grpc.StatusCode.UNAVAILABLE}


async def test_large_requests_wait_while_many_are_served(
    channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused is given back: else the third one would wait for ever."""
    monkeypatch.setattr(intake, "MAX_HELD_BYTES", 2 * LARGE)
    for _ in range(4):
        assert await refused(channel, "Embed", IMAGE) is grpc.StatusCode.INVALID_ARGUMENT
        assert await refused(channel, "Embed", b"\x80" * LARGE) is grpc.StatusCode.INVALID_ARGUMENT


class Holding(Servicer):
    """Serves images until it is told to end."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[None] = asyncio.Queue()
        self.may_end = asyncio.Event()

    async def Embed(self, request: wire.EmbedRequest, context: Context) -> wire.EmbedResponse:  # noqa: N802
        self.begun.put_nowait(None)
        await self.may_end.wait()
        return wire.EmbedResponse()


async def test_while_large_requests_hold_all_the_room_only_what_may_be_large_waits_until_one_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake, "MAX_HELD_BYTES", LARGE)
    servicer = Holding()  # type: ignore[abstract] # EmbedText is not called here
    async with serving(servicer) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        embed: Any = channel.unary_unary(f"/{EMBEDDER}/Embed")
        get: Any = channel.unary_unary(f"/{EMBEDDER}/GetModel")
        calls = [embed(IMAGE)]
        await servicer.begun.get()
        calls.append(embed(b""))
        for _ in range(5):
            await get(b"")
        assert servicer.begun.empty()
        servicer.may_end.set()
        for call in calls:
            await call


async def test_a_place_is_taken_as_soon_as_the_call_has_ended_that_had_it(
    channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if no request came, which the caller is told."""
    monkeypatch.setattr(intake, "MAX_RECEIVING", 1)
    monkeypatch.setattr(intake, "_PATIENCE_SECONDS", 3600)
    first: grpc.aio.StreamUnaryCall[bytes, bytes] = channel.stream_unary(f"/{EMBEDDER}/GetModel")()
    await first.wait_for_connection()
    get: Any = channel.unary_unary(f"/{EMBEDDER}/GetModel")
    stream: Any = channel.stream_stream(f"/{EMBEDDER}/EmbedStream")
    await stream(iter(())).read()  # by then, the first was taken
    waiting = get(b"")
    await stream(iter(())).read()
    assert not waiting.done()
    await first.done_writing()
    assert await first.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await first.details() == "message: GetModel needs a request, and none came"
    async with asyncio.timeout(60):
        await waiting


class Sender:
    """Sends an empty request when it is told; notes when the server begins to receive it."""

    def __init__(self, received: "list[Sender]") -> None:
        self.received, self.may_send = received, asyncio.Event()

    async def read(self) -> bytes:
        self.received.append(self)
        try:
            await self.may_send.wait()
        except asyncio.CancelledError:
            for _ in range(3):  # gRPC, too, takes its time to end this
                await asyncio.sleep(0)
            raise
        return b""


async def _receive(taken: Intake, sender: Sender) -> bytes:
    return await taken.receive(cast("Context", sender), Parser("GetModel", wire.GetModelRequest, Limits()))


async def test_the_oldest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_RECEIVING", 2)
    monkeypatch.setattr(intake, "_PATIENCE_SECONDS", 0)
    taken, received = Intake(), list[Sender]()
    senders = [Sender(received) for _ in range(3)]
    tasks = [asyncio.create_task(_receive(taken, sender)) for sender in senders]
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert done == {tasks[0]}
    with pytest.raises(SentSlowly):
        await tasks[0]
    for sender in senders:
        sender.may_send.set()
    assert await asyncio.gather(*others) == [b"", b""]


async def test_nobody_overtakes_who_waits_for_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither who comes just as there is one again, before those who wait are awake."""
    monkeypatch.setattr(intake, "MAX_RECEIVING", 1)
    taken, received = Intake(), list[Sender]()
    senders = [Sender(received) for _ in range(3)]
    tasks = [asyncio.create_task(_receive(taken, sender)) for sender in senders[:2]]
    for _ in range(3):
        await asyncio.sleep(0)
    for sender in senders:
        sender.may_send.set()
    await asyncio.gather(*tasks, _receive(taken, senders[2]))
    assert received == senders
