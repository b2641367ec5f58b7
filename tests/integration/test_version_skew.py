"""Clients of older versions and today's servers, and the other way round, by what was recorded of their wire.

`tests/wire/VERSION` holds a version's descriptors and exchanges, made by `tools/wire.py`; 0.0 is the first wire that
went from end to end, before any release. A version to come adds a folder.
"""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from lookalike import Client
from lookalike_serving.server import Server
from tests.indexer import sha256
from tests.integration.conftest import address
from tools.wire import EXCHANGES, IMAGE, methods, pool_of

WIRE = Path(__file__).resolve().parents[1] / "wire"
VERSIONS = sorted(folder.name for folder in WIRE.iterdir() if folder.is_dir())
CHANGING = {
    *("create_time", "update_time", "start_time", "search_id", "median_seconds", "timings"),  # of each call
    *("next_page_token", "resume_token"),  # hold ids of rows
    *("Embedding.values", "Embedding.space", "GetModelResponse.space", "device", "precision", "weights_sha256"),
    *("max_batch_size", "formats"),  # of each embedder
    *("message", "metadata"),  # sentences may be mended
    "ListProjectsResponse.projects",  # others' are there too
    # an image tells the likeness to its nearest fellow now, not to the earliest one; all are examined before any comes
    *("DuplicateCluster.images", "FindDuplicatesResponse.examined_count"),
}
"""Fields whose values may be others than were recorded."""


@dataclass(frozen=True)
class Exchange:
    """A call, as bytes."""

    method: str
    requests: list[bytes]
    answers: list[bytes]


def exchanges(version: str) -> list[Exchange]:
    recorded = json.loads((WIRE / version / EXCHANGES).read_text())
    return [
        Exchange(one["method"], *([base64.b64decode(text) for text in one[side]] for side in ("requests", "answers")))
        for one in recorded
    ]


def known(version: str) -> dict[str, MethodDescriptor]:
    return methods(pool_of((WIRE / version / IMAGE).read_bytes()))


def comparable(method: MethodDescriptor, answers: list[bytes]) -> list[dict[str, Any]]:
    """The answers as that version's client reads them: what it does not know is not there. In order, for streams."""
    made = message_factory.GetMessageClass(method.output_type)
    parsed = [made.FromString(answer) for answer in answers]
    return [plain(one) for one in sorted(parsed, key=lambda one: getattr(one, "sequence", 0))]


def plain(message: Message) -> dict[str, Any]:
    fields = (
        (field, value)
        for field, value in message.ListFields()
        if not {field.name, f"{message.DESCRIPTOR.name}.{field.name}"} & CHANGING
    )
    return {field.name: value_of(field, value) for field, value in fields}


def value_of(field: FieldDescriptor, value: Any) -> Any:  # noqa: ANN401 - of any field
    if field.message_type is None:
        return pytest.approx(value, abs=2e-3) if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT else value
    if field.message_type.GetOptions().map_entry:
        return dict(value)
    return plain(value) if isinstance(value, Message) else [plain(one) for one in value]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


async def test_todays_servers_answer_an_older_client_as_its_own_did(
    version: str, searcher: Server, quick_embedder: Server
) -> None:
    """Byte for byte its requests, read by its descriptors."""
    rpcs = known(version)
    for exchange in exchanges(version):
        method = rpcs[exchange.method]
        service = method.containing_service.full_name
        server = quick_embedder if "Embedder" in service else searcher
        async with grpc.aio.insecure_channel(address(server)) as channel:
            path = f"/{service}/{method.name}"
            streams: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
            answers = [answer async for answer in streams(iter(exchange.requests), timeout=30)]
        assert comparable(method, answers) == comparable(method, exchange.answers), exchange.method


def test_the_present_version_is_recorded_whole() -> None:
    unrecorded = set(known(VERSIONS[-1])) - {exchange.method for exchange in exchanges(VERSIONS[-1])}
    assert unrecorded == {"RecordFeedback"}  # which names a search of the server's own


class Recorded(grpc.GenericRpcHandler):
    """A server of that version: to each RPC the answers that were recorded first; to others, that it has none such."""

    def __init__(self, version: str) -> None:
        self._exchanges = {exchange.method: exchange for exchange in reversed(exchanges(version))}

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        exchange = self._exchanges.get(details.method.rpartition("/")[2])
        if exchange is None:
            return None

        async def answer(requests: AsyncIterator[bytes], _: object) -> AsyncIterator[bytes]:
            async for _request in requests:
                pass
            for recorded in exchange.answers:
                yield recorded

        return grpc.stream_stream_rpc_method_handler(answer)


@pytest.fixture
async def older_server(version: str) -> AsyncIterator[str]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Recorded(version),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def test_todays_client_reads_what_an_older_server_answers(version: str, older_server: str) -> None:
    async with Client(older_server, older_server) as client:
        model = await client.model()
        assert (model.space, model.dimensions) == ("vgg16-rmac512-72c50f5420c9", 512)
        assert len((await client.embed(b"as recorded")).values) == 512
        project = await client.get_project("recorded")
        assert (project.name, project.space, project.image_count) == ("recorded", "recorded-512", 4)
        assert [one.name async for one in client.list_projects()] == ["recorded"]
        assert await client.check_images("recorded", [sha256(0)]) == {sha256(0)}
        result = await client.search("recorded", sha256=sha256(1).hex())
        assert [hit.sha256 for hit in result.hits][:1] == [sha256(1).hex()]
        assert result.hits[0].references[0].uri == "https://shop/1.jpg"
        assert result.images_ranked == 4
        await client.delete_project("recorded")
