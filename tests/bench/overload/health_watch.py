"""What the health service says of a server while it is overloaded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


@dataclass
class Watched:
    """How often a watch saw that the server does not serve, or broke."""

    lost: int = 0


@asynccontextmanager
async def watched(address: str, service: str) -> AsyncIterator[Watched]:
    """Watch a service's health, on a connection of its own, beside the block."""
    seen = Watched()
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub, request = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckRequest(service=service)

        async def watch() -> None:
            while True:
                try:
                    async for answer in stub.Watch(request):  # type: ignore[attr-defined] # types of the sync stack
                        seen.lost += answer.status != health_pb2.HealthCheckResponse.SERVING
                except grpc.aio.AioRpcError:
                    seen.lost += 1
                await asyncio.sleep(1)

        watching = asyncio.create_task(watch())
        try:
            yield seen
        finally:
            watching.cancel()
            await asyncio.wait([watching])
