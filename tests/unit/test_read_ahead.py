"""A server receives little of a stream that it does not read, so that bounds on what is in flight bound its memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from lookalike._transport.channel import EMBEDDER
from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceServicer, EmbedderServiceStub
from lookalike_serving.errors import Context
from lookalike_serving.parsing import Limits
from lookalike_serving.server import READ_AHEAD
from tests.small_server import small_server

MEBIBYTE = 1024 * 1024
MESSAGE = wire.EmbedStreamRequest(image=bytes(MEBIBYTE // 4))
MESSAGES_READ = 800
"""At full speed, by which gRPC would let its windows grow."""


class Servicer(EmbedderServiceServicer):
    def __init__(self) -> None:
        self.full, self.end = asyncio.Event(), asyncio.Event()

    async def GetModel(self, request: wire.GetModelRequest, context: Context) -> wire.GetModelResponse:  # noqa: N802
        return wire.GetModelResponse()

    async def EmbedStream(  # noqa: N802
        self, request_iterator: AsyncIterator[wire.EmbedStreamRequest], context: Context
    ) -> AsyncIterator[wire.EmbedStreamResponse]:
        for _ in range(MESSAGES_READ):
            await anext(request_iterator)
        self.full.set()
        await self.end.wait()
        yield wire.EmbedStreamResponse()


async def test_of_a_stream_that_is_not_read_no_more_is_received_than_told() -> None:
    servicer, written = Servicer(), 0  # type: ignore[abstract] # the other methods are not called here
    async with (
        small_server(servicer, limits=Limits({f"{EMBEDDER}/EmbedStream": None})) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub = EmbedderServiceStub(channel)
        call: Any = stub.EmbedStream()

        async def write() -> None:
            nonlocal written
            while True:
                await call.write(MESSAGE)
                written += 1

        writing = asyncio.create_task(write())
        await servicer.full.wait()
        before = -1
        while written > before:  # as many calls on the same connection are answered without any progress of the stream
            before = written
            for _ in range(100):
                await stub.GetModel(wire.GetModelRequest())
        writing.cancel()
        servicer.end.set()
        call.cancel()
    received = (written - MESSAGES_READ) * MESSAGE.ByteSize()
    assert received <= dict(READ_AHEAD)["grpc.http2.lookahead_bytes"] + 4 * MESSAGE.ByteSize()
