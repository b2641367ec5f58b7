"""Whatever is in a request's field, or in a page token, is answered or refused, and is nobody's internal error."""

import base64
import json
import math
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from tests.indexer import Writer, sha256, vector

BASE, OWN, NEXT = "base-512", "base-own", "next-512"
PRECISE = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
TEXTS = ["", "\0", "a\0b", "\u202e\x1b[2J\r\n", "'; DROP TABLE image; --", "%", "é" * 4096, "\U0010ffff"]
WHOLES = [0, 1, -1, 2**31 - 1, -(2**31), 2**32 - 1, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1]
REALS = [0.0, -0.0, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan]
BLOBS = [b"", b"\0", bytes(32), b"\xff" * 33]
OF_TYPE: dict[int, list[Any]] = {
    FieldDescriptor.CPPTYPE_STRING: TEXTS,
    FieldDescriptor.CPPTYPE_INT32: WHOLES,
    FieldDescriptor.CPPTYPE_INT64: WHOLES,
    FieldDescriptor.CPPTYPE_UINT32: WHOLES,
    FieldDescriptor.CPPTYPE_UINT64: WHOLES,
    FieldDescriptor.CPPTYPE_ENUM: WHOLES,
    FieldDescriptor.CPPTYPE_FLOAT: REALS,
    FieldDescriptor.CPPTYPE_DOUBLE: REALS,
    FieldDescriptor.CPPTYPE_BOOL: [],
}


@pytest.fixture(scope="module")
async def shop(searcher_channel: grpc.aio.Channel) -> AsyncIterator[Writer]:
    """A project that has of everything, two pages of each."""
    stub, name = SearcherServiceStub(searcher_channel), f"hostile-{uuid.uuid4().hex[:12]}"
    for one in name, f"{name}-2":
        await stub.CreateProject(wire.CreateProjectRequest(name=one, space=BASE))
    writer = Writer(stub, name, BASE)
    await writer.send(*(writer.request(seed, product="shoe" * (seed % 2), labels={"a": "b"}) for seed in range(5)))
    await writer.send(writer.request(0, uri="https://shop/again.jpg"))
    projection = wire.Projection(source=BASE, matrix=np.eye(512, dtype=np.float32).ravel(), centre=0.1 * vector(900))
    await stub.CreateSpace(wire.CreateSpaceRequest(project=name, space=OWN, projection=projection))
    await stub.CreateSpace(wire.CreateSpaceRequest(project=name, space=NEXT))
    yield writer
    for one in name, f"{name}-2":
        await stub.DeleteProject(wire.DeleteProjectRequest(name=one))


def search(project: str, **fields: object) -> wire.SearchRequest:
    made = wire.SearchRequest(project=project, embedding=common.Embedding(space=BASE, values=vector(1)), limit=2)
    made.MergeFrom(wire.SearchRequest(**fields))
    return made


def requests(project: str, search_id: str) -> Iterator[tuple[str, Message]]:
    """For each RPC that harms nothing a request of which every field can be something else."""
    reference = wire.Reference(uri="a", product="b", variant="c", labels={"d": "e"})
    label = wire.Label(name="a", value="b")
    chosen = wire.Filter(products=["shoe"], variants=[""], uri_prefix="h", labels=[wire.LabelGroup(any_of=[label])])
    yield "GetProject", wire.GetProjectRequest(name=project)
    yield "ListProjects", wire.ListProjectsRequest(page_size=1)
    yield "UpdateProject", wire.UpdateProjectRequest(name=project, limits=wire.Limits(max_images=1000))
    yield "CheckImages", wire.CheckImagesRequest(project=project, sha256s=[sha256(1)], space=BASE)
    yield "CheckReferences", wire.CheckReferencesRequest(project=project, references=[reference], space=BASE)
    yield "ListReferences", wire.ListReferencesRequest(project=project, uri_prefix="h", page_size=1)
    yield "GetImage", wire.GetImageRequest(project=project, uri="a")
    yield "ListImages", wire.ListImagesRequest(project=project, filter=chosen, missing_in_space=NEXT, page_size=1)
    yield "Search", search(project, filter=chosen, space=OWN, min_similarity=0.1, rerank=1, sha256=sha256(1))
    yield "Search", wire.SearchRequest(project=project, uri="a")
    yield "SearchBatch", wire.SearchBatchRequest(requests=[search(project, filter=chosen)])
    verdict = wire.HitVerdict(sha256=sha256(1), rank=1, verdict=wire.VERDICT_RIGHT)
    said = wire.SearchFeedback(search_id=search_id, query_uri="a", verdicts=[verdict])
    yield "RecordFeedback", wire.RecordFeedbackRequest(project=project, searches=[said])
    yield "ListFeedback", wire.ListFeedbackRequest(project=project, page_size=1)
    deletion = wire.DeleteFeedbackRequest(project=project, search_ids=[search_id])
    deletion.search_time_before.FromSeconds(0)
    yield "DeleteFeedback", deletion
    yield "GetSearchQuality", wire.GetSearchQualityRequest(project=project, days=1)
    yield (
        "DeleteImages",
        wire.DeleteImagesRequest(project=project, uris=["no"], products=["no"], references=[reference]),
    )
    yield "CompareSpaces", wire.CompareSpacesRequest(project=project, space=NEXT, sample_size=2, limit=2)
    yield "FindDuplicates", wire.FindDuplicatesRequest(project=project, min_similarity=0.9)
    yield "ExportVectors", wire.ExportVectorsRequest(project=project, space=BASE, fraction=1)
    entry = wire.ImageEntry(sha256=sha256(1), width=1, height=1, stamp="s", reference=reference)
    yield "SyncProduct", wire.SyncProductRequest(project=project, product="none", entries=[entry])


def places(message: Message, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every field of it that is no message, also those that are not set, and those of the messages in it."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            yield (*path, field.name), field
        elif field.message_type.GetOptions().map_entry:
            continue
        elif not _is_list(field):
            if message.HasField(field.name):
                yield from places(getattr(message, field.name), (*path, field.name))
        else:
            for number, one in enumerate(getattr(message, field.name)):
                yield from places(one, (*path, field.name, number))


def _is_list(field: Any) -> bool:  # noqa: ANN401 - of two packages
    return bool(field.is_repeated)


def hostile(request: Message) -> Iterator[tuple[str, Message]]:
    """The request with one field something else, and what was done."""
    for path, field in places(request):
        values = BLOBS if field.type == FieldDescriptor.TYPE_BYTES else OF_TYPE[field.cpp_type]
        for value in values:
            made = type(request)()
            made.CopyFrom(request)
            target: Any = made
            for step in path[:-1]:
                target = target[step] if isinstance(step, int) else getattr(target, step)
            try:
                if _is_list(field):
                    getattr(target, path[-1]).append(value)
                else:
                    setattr(target, path[-1], value)
            except ValueError:  # the wire has no such number
                continue
            yield f"{'.'.join(map(str, path))} = {value!r:.40}", made


async def code_of(stub: SearcherServiceStub, rpc: str, request: Message) -> tuple[grpc.StatusCode, str]:
    call = getattr(stub, rpc)(request)
    try:
        if isinstance(call, grpc.aio.UnaryStreamCall):
            async for _ in call:
                pass
        else:
            answer = await call
            for one in getattr(answer, "results", ()):  # of a batch
                if one.HasField("error") and one.error.code == grpc.StatusCode.INTERNAL.value[0]:
                    return grpc.StatusCode.INTERNAL, one.error.message
    except grpc.aio.AioRpcError as error:
        return error.code(), str(error.details())
    return grpc.StatusCode.OK, ""


async def test_no_field_brings_an_internal_error(shop: Writer) -> None:
    found = await shop.stub.Search(search(shop.project))
    tried, wrong = 0, []
    for rpc, request in requests(shop.project, found.search_id):
        for what, made in hostile(request):
            code, told = await code_of(shop.stub, rpc, made)
            tried += 1
            if code not in PRECISE or any(sign in told for sign in "\0\x1b\r"):
                wrong.append(f"{rpc} {what}: {code} {told}")
    assert not wrong, "\n".join(wrong[:10])
    assert tried > 500


FORGED = [
    0,
    -1,
    2**53 + 1,
    2**63 - 1,
    2**63,
    10**30,
    "",
    "a\0",
    "\ud800",
    BASE,
    NEXT,
    True,
    None,
    [],
    1.5,
    math.nan,
    math.inf,
]


def forgeries(token: str) -> Iterator[tuple[str, str]]:
    """The token with one part something else, of the same request."""
    parts = json.loads(base64.urlsafe_b64decode(token))
    for place in range(1, len(parts)):
        for value in FORGED:
            made = [*parts[:place], value, *parts[place + 1 :]]
            yield f"part {place} = {value!r}", base64.urlsafe_b64encode(json.dumps(made).encode()).decode()


async def tokens(shop: Writer) -> AsyncIterator[tuple[str, Message, str, str]]:
    """For each RPC that goes on by a token: a request, its field, and a token of it."""
    name, stub = shop.project, shop.stub
    for _ in range(2):
        verdict = wire.HitVerdict(sha256=sha256(1), rank=1, verdict=wire.VERDICT_RIGHT)
        said = wire.SearchFeedback(search_id=(await stub.Search(search(name))).search_id, verdicts=[verdict])
        await stub.RecordFeedback(wire.RecordFeedbackRequest(project=name, searches=[said]))
    paged: tuple[tuple[str, Message], ...] = (
        ("ListProjects", wire.ListProjectsRequest(page_size=1)),
        ("ListReferences", wire.ListReferencesRequest(project=name, page_size=1)),
        ("ListImages", wire.ListImagesRequest(project=name, page_size=1)),
        ("ListFeedback", wire.ListFeedbackRequest(project=name, page_size=1)),
        ("Search", search(name)),
        ("Search", search(name, group_by=wire.GROUPING_PRODUCT, limit=1)),
    )
    for rpc, request in paged:
        yield rpc, request, "page_token", (await getattr(stub, rpc)(request)).next_page_token
    streamed: tuple[tuple[str, Message], ...] = (
        ("FindDuplicates", wire.FindDuplicatesRequest(project=name)),
        ("ExportVectors", wire.ExportVectorsRequest(project=name)),
    )
    for rpc, request in streamed:
        answers = [answer async for answer in getattr(stub, rpc)(request)]
        yield rpc, request, "resume_token", answers[0].resume_token


async def test_no_forged_token_brings_an_internal_error(shop: Writer) -> None:
    tried, wrong = 0, []
    async for rpc, request, field, token in tokens(shop):
        assert token, rpc
        for what, forged in forgeries(token):
            made: Any = type(request)()
            made.CopyFrom(request)
            setattr(made, field, forged)
            code, told = await code_of(shop.stub, rpc, made)
            tried += 1
            if code not in PRECISE:
                wrong.append(f"{rpc} {what}: {code} {told}")
    assert not wrong, "\n".join(wrong[:10])
    assert tried > 300


async def test_a_forged_token_does_not_choose_what_a_search_is_called(shop: Writer) -> None:
    request = search(shop.project)
    token = (await shop.stub.Search(request)).next_page_token
    *parts, called = json.loads(base64.urlsafe_b64decode(token))
    assert (await shop.stub.Search(search(shop.project, page_token=token))).search_id == called
    for forged in "<script>", "", "A" * 22:
        request.page_token = base64.urlsafe_b64encode(json.dumps([*parts, forged]).encode()).decode()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await shop.stub.Search(request)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_token_may_hold_the_longest_product(shop: Writer) -> None:
    product = "\x01" * 256
    for seed in 50, 51:
        await shop.send(shop.request(seed, product=product))
    request = search(
        shop.project, group_by=wire.GROUPING_PRODUCT, limit=1, filter=wire.Filter(products=[product, "shoe"])
    )
    request.embedding.values[:] = vector(50)
    first = await shop.stub.Search(request)
    assert first.hits[0].references[0].product == product
    request.page_token = first.next_page_token
    second = await shop.stub.Search(request)
    assert second.hits[0].references[0].product == "shoe"
