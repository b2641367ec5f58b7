"""What a server's health service says, over a real socket, to who asks once and to who watches."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, cast

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub, add_HealthServicer_to_server

from lookalike_serving.health import Health

if TYPE_CHECKING:
    from lookalike_serving.errors import Context


@pytest.fixture
async def health() -> AsyncIterator[tuple[Health, HealthStub]]:
    health, server = Health("shop"), grpc.aio.server()
    add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield health, HealthStub(channel)
    await server.stop(0)


@pytest.mark.parametrize("is_sending", [False, True])
async def test_the_end_is_told_to_who_watches_and_ends_the_watch(*, is_sending: bool) -> None:
    """Also while the status before it is being sent."""
    health = Health("shop")
    health.tell(serving=True)
    watch = health.Watch(HealthCheckRequest(service="shop"), cast("Context", None))  # which it does not look at
    assert (await anext(watch)).status == HealthCheckResponse.SERVING
    told = asyncio.ensure_future(anext(watch))
    if not is_sending:
        await asyncio.sleep(0)
    health.end()
    async with asyncio.timeout(60):
        assert (await told).status == HealthCheckResponse.NOT_SERVING
        assert [status async for status in watch] == []


async def test_the_end_is_final(health: tuple[Health, HealthStub]) -> None:
    """Whatever a probe says that was under way."""
    told, stub = health
    for tell, expected in (
        (partial(told.tell, serving=True), HealthCheckResponse.SERVING),
        (told.end, HealthCheckResponse.NOT_SERVING),
        (partial(told.tell, serving=True), HealthCheckResponse.NOT_SERVING),
    ):
        tell()
        assert (await stub.Check(HealthCheckRequest())).status == expected


async def test_of_a_service_that_is_not_here_nothing_is_said(health: tuple[Health, HealthStub]) -> None:
    """As the protocol has it: an error to who asks, and a status to who watches, as the service may come."""
    _, stub = health
    request = HealthCheckRequest(service="another")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(request)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert (await stub.Watch(request).read()).status == HealthCheckResponse.SERVICE_UNKNOWN
