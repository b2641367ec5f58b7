"""What becomes of calls that arrive while a server's event loop is late."""

import asyncio
import threading
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import (
    EmbedderServiceServicer,
    EmbedderServiceStub,
    add_EmbedderServiceServicer_to_server,
)
from lookalike_embedder.errors import STATUS
from lookalike_serving.errors import Context
from lookalike_serving.server import MAX_PENDING, Draining, Server

SERVICE = wire.DESCRIPTOR.services_by_name["EmbedderService"].full_name
FLOOD = 3 * MAX_PENDING
RESETS = FLOOD - MAX_PENDING - 2  # gRPC lets one more in, and one has been handed to the event loop


class Servicer(EmbedderServiceServicer):
    async def GetModel(self, request: wire.GetModelRequest, context: Context) -> wire.GetModelResponse:  # noqa: N802
        return wire.GetModelResponse()


async def probe() -> None:
    pass


async def test_more_calls_of_a_service_than_may_wait_for_the_event_loop_are_reset_and_others_are_not() -> None:
    async with Server(
        SERVICE,
        lambda server: add_EmbedderServiceServicer_to_server(Servicer(), server),  # type: ignore[abstract] # one is called
        address="127.0.0.1:0",
        table=STATUS,
        probe=probe,
        draining=Draining(),
        options=[],
        probe_interval=60,
        grace=5,
    ) as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            await asyncio.to_thread(grpc.channel_ready_future(channel).result)
            resets: list[Any] = []
            enough = threading.Event()

            def note(call: Any) -> None:  # noqa: ANN401 - gRPC's own type
                if call.code() is grpc.StatusCode.CANCELLED:
                    resets.append(call)
                if len(resets) == RESETS:
                    enough.set()

            stub: Any = EmbedderServiceStub(channel)
            calls = [stub.GetModel.future(wire.GetModelRequest()) for _ in range(FLOOD)]
            for call in calls:
                call.add_done_callback(note)
            check = health_pb2_grpc.HealthStub(channel).Check.future(health_pb2.HealthCheckRequest())
            assert enough.wait(60)  # the event loop stands still
            assert (await asyncio.to_thread(check.result)).status == health_pb2.HealthCheckResponse.SERVING
            codes = [await asyncio.to_thread(call.code) for call in calls]
            assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.CANCELLED}
