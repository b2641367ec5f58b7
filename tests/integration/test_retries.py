"""What the client tries again by itself, and what it does not."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from lookalike import Client, UnavailableError
from lookalike._transport import channel
from lookalike.v1 import embedder_pb2, searcher_pb2_grpc
from lookalike.v1 import searcher_pb2 as wire


class Faltering(searcher_pb2_grpc.SearcherServiceServicer):
    """Is unavailable to the first two calls of each method."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}

    async def _falter(self, method: str, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self.calls[method] = self.calls.get(method, 0) + 1
        if self.calls[method] <= 2:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not just now")

    async def GetProject(self, request: Any, context: Any) -> wire.GetProjectResponse:  # noqa: ANN401, N802
        await self._falter("GetProject", context)
        return wire.GetProjectResponse(project=wire.Project(name=request.name))

    async def CheckImages(self, request: Any, context: Any) -> wire.CheckImagesResponse:  # noqa: ANN401, N802
        await self._falter("CheckImages", context)
        return wire.CheckImagesResponse(stored_sha256s=request.sha256s)

    async def CreateProject(self, request: Any, context: Any) -> wire.CreateProjectResponse:  # noqa: ANN401, N802
        await self._falter("CreateProject", context)
        return wire.CreateProjectResponse()

    async def DeleteProject(self, request: Any, context: Any) -> wire.DeleteProjectResponse:  # noqa: ANN401, N802
        await self._falter("DeleteProject", context)
        return wire.DeleteProjectResponse()


@pytest.fixture
async def faltering() -> AsyncIterator[tuple[Faltering, Client]]:
    servicer = Faltering()  # type: ignore[abstract] # the other methods are not called here
    server = grpc.aio.server()
    searcher_pb2_grpc.add_SearcherServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with Client(searcher=f"127.0.0.1:{port}") as client:
        yield servicer, client
    await server.stop(0)


async def test_what_can_be_repeated_is(faltering: tuple[Faltering, Client]) -> None:
    servicer, client = faltering
    assert (await client.get_project("shop")).name == "shop"
    assert await client.check_images("shop", [bytes(32)]) == {bytes(32)}
    assert servicer.calls == {"GetProject": 3, "CheckImages": 3}


async def test_a_server_that_stays_unavailable_is_not_asked_again_by_every_call(
    faltering: tuple[Faltering, Client],
) -> None:
    """The attempts of gRPC's own have a budget too: four for each call would make of an outage an overload."""
    servicer, client = faltering
    servicer.calls["GetProject"] = -1000
    for _ in range(8):
        with pytest.raises(UnavailableError, match="not just now"):
            await client.get_project("shop")
    assert 8 < servicer.calls["GetProject"] + 1000 <= 8 + 6


async def test_what_may_have_been_done_is_not_repeated(faltering: tuple[Faltering, Client]) -> None:
    """A lost answer to a creation or deletion is the caller's to judge."""
    servicer, client = faltering
    with pytest.raises(UnavailableError, match="not just now"):
        await client.create_project("shop", space="space")
    with pytest.raises(UnavailableError, match="not just now"):
        await client.delete_project("shop")
    assert servicer.calls == {"CreateProject": 1, "DeleteProject": 1}


@pytest.mark.parametrize("service", [channel.EMBEDDER, channel.SEARCHER])
def test_each_call_is_one_that_is_repeated_or_one_that_is_not(service: str) -> None:
    """What makes and unmakes projects and spaces is done once; a lost answer is the caller's to judge."""
    file = {channel.EMBEDDER: embedder_pb2, channel.SEARCHER: wire}[service]
    methods = file.DESCRIPTOR.services_by_name[service.rpartition(".")[2]].methods
    unary = {method.name for method in methods if not method.server_streaming}
    once = {"CreateProject", "DeleteProject", "CreateSpace", "CutOverSpace", "DeleteSpace"}
    assert unary - once == set(channel._IDEMPOTENT[service])
