"""Page tokens and resume tokens that somebody made up, bound to the right request: refused, or harmless."""

import base64
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.rpc import page_token
from lookalike_searcher.search import search_id
from tests.indexer import Writer, vector

SPACE = "space"
NUMBERS = [2**31, 2**53 - 1, 2**53, 2**62, 2**63 - 2, 2**63 - 1, 2**63, 10**400, -1]
TEXTS = ["\ud800", "\0", "no space of this project", "x" * 300, ""]
FLOATS = [1e308, math.inf, math.nan, -1e308]
FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}


@pytest.fixture
async def writer(searcher_channel: grpc.aio.Channel) -> AsyncIterator[Writer]:
    stub, name = SearcherServiceStub(searcher_channel), "forged-tokens"
    await stub.CreateProject(wire.CreateProjectRequest(name=name, space=SPACE))
    found = Writer(stub, name, SPACE)
    await found.send(found.request(0), found.request(1), found.request(2))
    yield found
    await stub.DeleteProject(wire.DeleteProjectRequest(name=name))


def opened(sealed: str) -> list[Any]:
    parts: list[Any] = json.loads(base64.urlsafe_b64decode(sealed))
    return parts


def forged(sealed: str) -> list[str]:
    """The token, with each part replaced by what nobody should send."""
    asked, *position = opened(sealed)
    found = []
    for place, part in enumerate(position):
        others = {int: NUMBERS, str: TEXTS, float: FLOATS}.get(type(part), [])
        found += [page_token.encode(asked, *position[:place], other, *position[place + 1 :]) for other in others]
    return found


async def all_of(call: Any) -> Any:  # noqa: ANN401 - gRPC's own type
    """The last answer of a stream."""
    last = None
    async for answer in call:
        last = answer
    return last


async def harmless(ask: Callable[[str], Awaitable[object]], sealed: str) -> list[str]:
    """Ask with each forged token; those that were refused for what they are."""
    refused = []
    tokens = forged(sealed)
    assert tokens
    for one in tokens:
        try:
            await ask(one)
        except grpc.aio.AioRpcError as error:
            assert error.code() not in FAULTS, (opened(one), error.details())  # noqa: PT017 - either outcome is right
            refused.append(one)
    return refused


async def test_no_forged_token_makes_the_searcher_fail(writer: Writer) -> None:
    name, stub = writer.project, writer.stub
    pages: list[tuple[Callable[[str], Awaitable[Any]], str]] = [
        (lambda t: stub.ListImages(wire.ListImagesRequest(project=name, page_size=1, page_token=t)), "next_page_token"),
        (
            lambda t: stub.ListReferences(wire.ListReferencesRequest(project=name, page_size=1, page_token=t)),
            "next_page_token",
        ),
        (lambda t: stub.ListProjects(wire.ListProjectsRequest(page_size=1, page_token=t)), "next_page_token"),
        (
            lambda t: all_of(stub.FindDuplicates(wire.FindDuplicatesRequest(project=name, resume_token=t))),
            "resume_token",
        ),
        (
            lambda t: all_of(stub.ExportVectors(wire.ExportVectorsRequest(project=name, fraction=1, resume_token=t))),
            "resume_token",
        ),
    ]
    for ask, field in pages:
        sealed = getattr(await ask(""), field) or page_token.encode("projects", "a")
        assert await harmless(ask, sealed), field


async def test_a_search_does_not_echo_an_id_that_somebody_made_up(writer: Writer) -> None:
    def ask(sealed: str) -> Awaitable[wire.SearchResponse]:
        query = common.Embedding(space=SPACE, values=vector(0))
        asked = wire.SearchRequest(project=writer.project, embedding=query, limit=1, page_token=sealed)
        call: Awaitable[wire.SearchResponse] = writer.stub.Search(asked)
        return call

    first = await ask("")
    assert (await ask(first.next_page_token)).search_id == first.search_id
    assert await harmless(ask, first.next_page_token)
    parts = opened(first.next_page_token)
    for called in ("my own words", "\ud800", first.search_id[:-1], first.search_id + "\n", search_id.issue(1)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(page_token.encode(*parts[:-1], called))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, called
