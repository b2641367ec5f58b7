"""What the client's calls carry, and which pods they go to: over real sockets, to servers that only take notes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status

from lookalike import Client, Embedding, Item, LookalikeError, QuotaExceededError, Status, UnavailableError
from lookalike._transport import retry
from lookalike._transport.channel import EMBEDDER, SEARCHER
from lookalike._transport.retry import Outage
from lookalike.v1 import embedder_pb2, embedder_pb2_grpc, searcher_pb2, searcher_pb2_grpc
from lookalike_searcher.errors import STATUS
from lookalike_searcher.quota import QuotaExceeded
from lookalike_serving.health import Health
from tests.pictures import jpeg


class Notes:
    """The method and the `x-request-id` of each call; says that it serves the service."""

    def __init__(self, service: str) -> None:
        self.calls: list[tuple[str, str]] = []
        self.health = Health(service)
        self.health.tell(serving=True)

    def note(self, method: str, context: Any) -> None:  # noqa: ANN401
        self.calls.append((method, dict(context.invocation_metadata())["x-request-id"]))


class Embedder(Notes, embedder_pb2_grpc.EmbedderServiceServicer):
    entries = 0
    """How many images it says that it takes in one message; 0: it knows nothing of that."""

    def __init__(self, service: str) -> None:
        super().__init__(service)
        self.together: list[int] = []

    async def GetModel(self, request: Any, context: Any) -> embedder_pb2.GetModelResponse:  # noqa: ANN401, N802
        self.note("GetModel", context)
        return embedder_pb2.GetModelResponse(space="space")

    async def Embed(self, request: Any, context: Any) -> embedder_pb2.EmbedResponse:  # noqa: ANN401, N802
        self.note("Embed", context)
        return embedder_pb2.EmbedResponse()

    async def EmbedStream(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401, N802
        self.note("EmbedStream", context)
        if self.entries:
            await context.send_initial_metadata((("lookalike-entries", str(self.entries)),))
        async for request in requests:
            self.together.append(len(request.entries))
            for entry in request.entries or [request]:
                yield embedder_pb2.EmbedStreamResponse(sequence=entry.sequence)


class Searcher(Notes, searcher_pb2_grpc.SearcherServiceServicer):
    loses = True
    """Whether it loses what it is to store."""
    falters = True
    """Whether it fails to create projects."""
    refusals = 0
    """How many searches and checks it refuses, as it is overloaded."""
    resets = 0
    """How many searches come back as those that gRPC resets before a late event loop has taken them."""

    async def CreateProject(self, request: Any, context: Any) -> searcher_pb2.CreateProjectResponse:  # noqa: ANN401, N802
        self.note("CreateProject", context)
        if self.falters:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not just now")
        return searcher_pb2.CreateProjectResponse()

    async def GetProject(self, request: Any, context: Any) -> searcher_pb2.GetProjectResponse:  # noqa: ANN401, N802
        self.note("GetProject", context)
        return searcher_pb2.GetProjectResponse()

    async def CheckImages(self, request: Any, context: Any) -> searcher_pb2.CheckImagesResponse:  # noqa: ANN401, N802
        self.note("CheckImages", context)
        await self._refuse(context)
        return searcher_pb2.CheckImagesResponse()

    async def CheckReferences(self, request: Any, context: Any) -> searcher_pb2.CheckReferencesResponse:  # noqa: ANN401, N802
        self.note("CheckReferences", context)
        await self._refuse(context)
        states = [searcher_pb2.ReferenceState()] * len(request.references)
        return searcher_pb2.CheckReferencesResponse(states=states)

    async def IndexImages(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401, N802
        self.note("IndexImages", context)
        stored = searcher_pb2.EntryResult(indexed=searcher_pb2.IndexedImage(status="INDEX_STATUS_INDEXED"))
        async for request in requests:
            if self.loses:
                await context.abort(grpc.StatusCode.DATA_LOSS, "all is lost")
            results = searcher_pb2.EntryResults(results=[stored] * len(request.entries))
            yield searcher_pb2.IndexImagesResponse(sequence=request.sequence, entries=results)

    async def Search(self, request: Any, context: Any) -> searcher_pb2.SearchResponse:  # noqa: ANN401, N802
        self.note("Search", context)
        if self.resets:
            self.resets -= 1
            await context.abort(grpc.StatusCode.CANCELLED)
        await self._refuse(context)
        return searcher_pb2.SearchResponse()

    async def _refuse(self, context: Any) -> None:  # noqa: ANN401
        if self.refusals:
            self.refusals -= 1
            refusal = STATUS.status(QuotaExceeded.busy("shop", 9, 0.1, 0.01))
            await context.abort_with_status(rpc_status.to_status(refusal))


VECTOR = Embedding("space", (1.0, *[0.0] * 511))


@asynccontextmanager
async def served(notes: Notes) -> AsyncIterator[str]:
    """A server on a free port; its address."""
    server = grpc.aio.server()
    match notes:
        case Embedder():
            embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(notes, server)
        case Searcher():
            searcher_pb2_grpc.add_SearcherServiceServicer_to_server(notes, server)
    health_pb2_grpc.add_HealthServicer_to_server(notes.health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    notes.health.end()
    await server.stop(0)


@pytest.fixture
async def noting() -> AsyncIterator[tuple[Client, Embedder, Searcher]]:
    embedder = Embedder(EMBEDDER)  # type: ignore[abstract] # EmbedText is not called here
    searcher = Searcher(SEARCHER)  # type: ignore[abstract] # the other methods are not called here
    async with (
        served(embedder) as embedder_address,
        served(searcher) as searcher_address,
        Client(embedder_address, searcher_address) as client,
    ):
        yield client, embedder, searcher


def ids(*servers: Notes) -> set[str]:
    return {request_id for server in servers for _, request_id in server.calls}


@pytest.mark.parametrize("is_for_grpc", [False, True])
async def test_the_webs_proxy_gets_no_calls_but_grpcs_own_does(
    monkeypatch: pytest.MonkeyPatch, is_for_grpc: bool
) -> None:
    for name in "no_grpc_proxy", "no_proxy", "NO_PROXY":
        monkeypatch.delenv(name, raising=False)
    for name in "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", *(["grpc_proxy"] if is_for_grpc else []):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # where nobody listens
    searcher = Searcher(SEARCHER)  # type: ignore[abstract] # the other methods are not called here
    async with served(searcher) as address, Client(searcher=address, timeout=1 if is_for_grpc else 30) as client:
        if is_for_grpc:
            with pytest.raises(LookalikeError):
                await client.get_project("shop")
        else:
            await client.get_project("shop")
    assert bool(searcher.calls) is not is_for_grpc


async def test_a_pod_that_says_it_is_not_serving_gets_no_calls_until_it_serves_again() -> None:
    pods = Embedder(EMBEDDER), Embedder(EMBEDDER)  # type: ignore[abstract] # EmbedText is not called here
    async with AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(served(pod)) for pod in pods]
        client = await stack.enter_async_context(Client(f"ipv4:{','.join(addresses)}"))

        async def until_they_are_asked(expected: set[Embedder]) -> None:
            """Ask until a round of calls reaches just these; health comes to the client by itself, when it may."""
            async with asyncio.timeout(120):
                while True:
                    for pod in pods:
                        pod.calls.clear()
                    for _ in range(10):
                        await client.model()
                    if {pod for pod in pods if pod.calls} == expected:
                        return

        await until_they_are_asked(set(pods))
        pods[0].health.tell(serving=False)
        await until_they_are_asked({pods[1]})
        pods[0].health.tell(serving=True)
        await until_they_are_asked(set(pods))


async def test_calls_wait_for_the_only_server_while_it_does_not_serve(
    noting: tuple[Client, Embedder, Searcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that may be done only once: what failed was sent to no server."""
    client, _, searcher = noting
    searcher.falters = False
    waiting: asyncio.Queue[LookalikeError] = asyncio.Queue()
    wait = Outage.wait

    async def noted_wait(outage: Outage, failure: LookalikeError, *when: Any) -> None:  # noqa: ANN401
        waiting.put_nowait(failure)
        await wait(outage, failure, *when)

    monkeypatch.setattr(Outage, "wait", noted_wait)
    searcher.health.tell(serving=False)
    calls = [asyncio.ensure_future(client.get_project("shop"))]
    assert (await waiting.get()).reason == "NOT_SERVING"
    calls.append(asyncio.ensure_future(client.create_project("shop", space="space")))
    for _ in range(3):
        await waiting.get()
    searcher.health.tell(serving=True)
    await asyncio.gather(*calls)
    assert sorted(method for method, _ in searcher.calls) == ["CreateProject", "GetProject"]


async def test_a_call_to_a_server_that_does_not_serve_says_so_at_its_deadline_and_what_was_tried() -> None:
    searcher = Searcher(SEARCHER)  # type: ignore[abstract] # the other methods are not called here
    async with served(searcher) as address, Client(searcher=address, timeout=3) as client:
        searcher.health.tell(serving=False)
        with pytest.raises(UnavailableError, match=r"says that it does not serve; \d+ attempts in \d\.\d s") as caught:
            await client.create_project("shop", space="space")
        assert caught.value.reason == "NOT_SERVING"
        assert await client.health() == (False, False)  # at once: who asks how it is does not wait


async def test_a_call_that_an_overloaded_server_refuses_is_made_again_when_the_server_said_within_a_budget() -> None:
    searcher = Searcher(SEARCHER)  # type: ignore[abstract] # the other methods are not called here
    async with served(searcher) as address, Client(searcher=address, timeout=60) as client:
        searcher.refusals = 3
        await client.search("shop", embedding=VECTOR)
        assert len(searcher.calls) == 4
        assert len(ids(searcher)) == 1
        searcher.refusals = 1000
        with pytest.raises(
            QuotaExceededError, match=r"wait at this searcher already.*; 8 attempts in \d+\.\d s"
        ) as caught:
            await client.search("shop", embedding=VECTOR)
        assert caught.value.reason == "PROJECT_BUSY"
        searcher.calls.clear()
        with pytest.raises(QuotaExceededError):
            await client.search("shop", embedding=VECTOR)
        assert len(searcher.calls) == 1  # the budget is spent


async def test_a_call_that_was_reset_is_made_again_and_then_the_error_says_so() -> None:
    searcher = Searcher(SEARCHER)  # type: ignore[abstract] # the other methods are not called here
    async with served(searcher) as address, Client(searcher=address, timeout=60) as client:
        searcher.resets = 2
        await client.search("shop", embedding=VECTOR)
        assert len(searcher.calls) == 3
        searcher.resets = 1000
        with pytest.raises(UnavailableError, match=r"searcher at .* reset the call: it has too much to do"):
            await client.search("shop", embedding=VECTOR)


async def test_after_half_a_minute_of_outage_calls_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the server has answered, or nobody has asked for as long."""
    now = 1000.0
    monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: now))
    outage, failure = Outage(), UnavailableError("down", reason="NOT_SERVING")
    await outage.wait(failure, 1, now, 30)
    now += 25
    await outage.wait(failure, 1, now, 30)
    now += 6
    with pytest.raises(UnavailableError, match="down"):
        await outage.wait(failure, 1, now, 30)
    outage.end()
    await outage.wait(failure, 1, now, 30)
    now += 31
    await outage.wait(failure, 1, now, 30)


async def test_a_search_bears_one_request_id_at_both_servers_and_the_next_bears_another(
    noting: tuple[Client, Embedder, Searcher],
) -> None:
    client, embedder, searcher = noting
    await client.search("shop", image=jpeg())
    assert [method for method, _ in embedder.calls + searcher.calls] == ["Embed", "Search"]
    assert len(ids(embedder, searcher)) == 1
    await client.search("shop", image=jpeg())
    assert len(ids(embedder, searcher)) == 2
    assert all(len(request_id) == 32 for request_id in ids(embedder, searcher))


async def test_a_run_bears_one_request_id_and_so_does_what_ends_it(noting: tuple[Client, Embedder, Searcher]) -> None:
    client, embedder, searcher = noting
    with pytest.raises(LookalikeError, match="all is lost") as caught:
        async for _ in client.index("shop", [Item(image=jpeg(64 + number), uri=str(number)) for number in range(2)]):
            pass
    assert {method for method, _ in embedder.calls} == {"EmbedStream"}
    assert {method for method, _ in searcher.calls} == {"GetProject", "CheckImages", "IndexImages"}
    assert ids(embedder, searcher) == {caught.value.request_id}


@pytest.mark.parametrize("by_path", [False, True])
async def test_a_run_goes_on_however_often_an_overloaded_searcher_refuses_its_checks(
    noting: tuple[Client, Embedder, Searcher], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, by_path: bool
) -> None:
    """More often than a single call would be made again."""
    monkeypatch.setattr(retry, "_FIRST_DELAY_SECONDS", 0.001)
    client, _, searcher = noting
    searcher.loses, searcher.refusals = False, 20
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg())
    outcomes = [outcome async for outcome in client.index("shop", [Item(photo if by_path else jpeg(), uri="photo")])]
    assert [outcome.status for outcome in outcomes] == [Status.INDEXED]
    method = "CheckReferences" if by_path else "CheckImages"
    assert [asked for asked, _ in searcher.calls].count(method) == 21


@pytest.mark.parametrize("entries", [0, 5])
async def test_a_run_sends_images_together_to_an_embedder_that_takes_them_so_and_to_no_other(
    noting: tuple[Client, Embedder, Searcher], entries: int
) -> None:
    client, embedder, searcher = noting
    embedder.entries, searcher.loses = entries, False
    items = [Item(image=jpeg(64 + number), uri=str(number)) for number in range(100)]
    outcomes = [outcome async for outcome in client.index("shop", items)]
    assert {outcome.status for outcome in outcomes} == {Status.INDEXED}
    assert bool(entries) <= max(embedder.together) <= entries
    assert sum(number or 1 for number in embedder.together) == len(items)  # each once


async def test_a_call_that_failed_tells_its_request_id(noting: tuple[Client, Embedder, Searcher]) -> None:
    client, embedder, searcher = noting
    with pytest.raises(LookalikeError, match="not just now") as caught:
        await client.create_project("shop")
    assert ids(embedder, searcher) == {caught.value.request_id}
