"""What surrounds the RPCs of a server, over a real socket: ids, statuses, lines in the log."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from lookalike._transport.call_context import REQUEST_ID
from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceServicer, EmbedderServiceStub
from lookalike_embedder.errors import InvalidImage, Overloaded
from lookalike_serving import rpc
from lookalike_serving.errors import Context
from lookalike_serving.interceptor import request_id
from tests.refused_stream import refused_stream
from tests.small_server import small_server

SERVICE = wire.DESCRIPTOR.services_by_name["EmbedderService"].full_name
MINE = [("x-request-id", "order-7.b")]


class Servicer(EmbedderServiceServicer):
    """GetModel answers with the id, as seen by a task of its own; the images say what is to happen."""

    async def GetModel(  # noqa: N802 - RPCs bear the names of the wire
        self, request: wire.GetModelRequest, context: Context
    ) -> wire.GetModelResponse:
        async def seen() -> str:
            return REQUEST_ID.get()

        return wire.GetModelResponse(space=await asyncio.create_task(seen()))

    async def Embed(self, request: wire.EmbedRequest, context: Context) -> wire.EmbedResponse:  # noqa: N802
        if not request.image:
            raise InvalidImage("EMPTY_IMAGE", "image: must not be empty")
        if request.image == b"busy":
            raise Overloaded(9, 0.5)
        raise ZeroDivisionError("a bug")

    async def EmbedStream(  # noqa: N802
        self, request_iterator: AsyncIterator[wire.EmbedStreamRequest], context: Context
    ) -> AsyncIterator[wire.EmbedStreamResponse]:
        async for request in request_iterator:
            if not request.image:
                raise InvalidImage("EMPTY_IMAGE", "image: must not be empty")
            yield wire.EmbedStreamResponse(sequence=request.sequence)
            if request.image == b"hang":
                await asyncio.Event().wait()


@pytest.fixture(scope="module")
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    async with (
        small_server(Servicer()) as server,  # type: ignore[abstract] # EmbedText is not called here
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield channel


@pytest.fixture(scope="module")
def stub(channel: grpc.aio.Channel) -> EmbedderServiceStub:
    return EmbedderServiceStub(channel)


class Lines(logging.Handler):
    """What is logged, to be awaited."""

    def __init__(self) -> None:
        super().__init__()
        self._records: asyncio.Queue[logging.LogRecord] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._records.put_nowait(record)

    async def next(self) -> tuple[str, dict[str, object]]:
        """The next line's level and fields."""
        record = await self._records.get()
        names = ("method", "code", "reason", "request_id")
        return record.levelname, {name: vars(record)[name] for name in names if name in vars(record)}


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger("lookalike_serving.interceptor")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)


async def requests(*images: bytes) -> AsyncIterator[wire.EmbedStreamRequest]:
    for sequence, data in enumerate(images):
        yield wire.EmbedStreamRequest(sequence=sequence, image=data)


@pytest.mark.parametrize("sent", ["a", "aZ-0._9", "a" * 128])
def test_ids_are_kept(sent: str) -> None:
    assert request_id([("user-agent", "x"), ("x-request-id", sent)]) == sent


@pytest.mark.parametrize("sent", ["", "a" * 129, "ä", "a\n", "a\x7f", "order 7", "a]: b", "a/b", "a\x1b[2J", b"bytes"])
def test_what_is_no_id_is_replaced_by_a_new_one(sent: str | bytes) -> None:
    made = request_id([("x-request-id", sent)])
    assert len(bytes.fromhex(made)) == 16
    assert made != request_id([("x-request-id", sent)])


def test_after_a_deadline_no_time_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rpc.time_remaining() == math.inf
    token = rpc._DEADLINE.set(1000.0)
    monkeypatch.setattr(rpc, "time", SimpleNamespace(monotonic=lambda: 1001.0))
    assert rpc.time_remaining() == 0
    rpc._DEADLINE.reset(token)


async def test_the_callers_id_holds_in_the_handler_and_in_its_tasks(stub: EmbedderServiceStub) -> None:
    assert (await stub.GetModel(wire.GetModelRequest(), metadata=MINE)).space == "order-7.b"


async def test_calls_without_an_id_get_one_each(stub: EmbedderServiceStub) -> None:
    first, second = [(await stub.GetModel(wire.GetModelRequest())).space for _ in range(2)]
    assert first
    assert second
    assert first != second


@pytest.mark.parametrize(("image", "reason"), [(b"", "EMPTY_IMAGE"), (b"bug", "INTERNAL")])
async def test_an_error_tells_the_id_beside_its_reason(stub: EmbedderServiceStub, image: bytes, reason: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Embed(wire.EmbedRequest(image=image), metadata=MINE)
    assert told(caught.value) == (reason, "order-7.b")


async def test_a_streams_error_tells_the_id_too(stub: EmbedderServiceStub) -> None:
    _, refusal = await refused_stream(lambda: stub.EmbedStream(requests(b"1", b""), metadata=MINE))
    assert told(refusal) == ("EMPTY_IMAGE", "order-7.b")


def told(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """The reason and the request id among an error's details."""
    status = rpc_status.from_call(error)
    assert status is not None
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.RequestInfo()
    assert [detail.Unpack(info) for detail in status.details].count(True) == 1
    assert [detail.Unpack(request) for detail in status.details].count(True) == 1
    return info.reason, request.request_id


def line(method: str, code: str, **reason: str) -> dict[str, object]:
    return {"method": f"{SERVICE}/{method}", "code": code, "request_id": "order-7.b", **reason}


async def test_a_unary_call_that_succeeds_is_logged_for_debugging_only(stub: EmbedderServiceStub, lines: Lines) -> None:
    await stub.GetModel(wire.GetModelRequest(), metadata=MINE)
    assert await lines.next() == ("DEBUG", line("GetModel", "OK"))


@pytest.mark.parametrize(
    ("image", "level", "code", "reason"),
    [(b"", "INFO", "INVALID_ARGUMENT", "EMPTY_IMAGE"), (b"busy", "DEBUG", "RESOURCE_EXHAUSTED", "OVERLOADED")],
)
async def test_a_refusal_is_logged_with_its_reason_and_one_of_thousands_for_debugging_only(
    stub: EmbedderServiceStub, lines: Lines, image: bytes, level: str, code: str, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.Embed(wire.EmbedRequest(image=image), metadata=MINE)
    assert await lines.next() == (level, line("Embed", code, reason=reason))


async def test_a_bug_is_logged_with_its_cause_and_as_the_end_of_the_call(
    stub: EmbedderServiceStub, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.Embed(wire.EmbedRequest(image=b"bug"), metadata=MINE)
    assert "ZeroDivisionError: a bug" in caplog.text
    assert (await lines.next())[0] == "ERROR"
    assert await lines.next() == ("WARNING", line("Embed", "INTERNAL", reason="INTERNAL"))


async def test_the_end_of_a_stream_is_logged(stub: EmbedderServiceStub, lines: Lines) -> None:
    assert [answer.sequence async for answer in stub.EmbedStream(requests(b"1", b"2"), metadata=MINE)] == [0, 1]
    assert await lines.next() == ("INFO", line("EmbedStream", "OK"))


async def test_a_stream_that_its_client_leaves_is_logged_as_cancelled(stub: EmbedderServiceStub, lines: Lines) -> None:
    call = stub.EmbedStream(metadata=MINE)
    await call.write(wire.EmbedStreamRequest(image=b"hang"))
    await call.read()
    call.cancel()
    assert await lines.next() == ("INFO", line("EmbedStream", "CANCELLED"))


async def test_health_is_not_logged(channel: grpc.aio.Channel, stub: EmbedderServiceStub, lines: Lines) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    await health.Check(health_pb2.HealthCheckRequest())
    watch = health.Watch(health_pb2.HealthCheckRequest())
    await watch.read()
    watch.cancel()
    await stub.GetModel(wire.GetModelRequest(), metadata=MINE)
    assert await lines.next() == ("DEBUG", line("GetModel", "OK"))
