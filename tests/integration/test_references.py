"""References by themselves: what they show, the stamps of their files, all of them, single ones deleted."""

import re

import grpc
import pytest

from lookalike import InvalidRequestError
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from tests.indexer import INDEXED, UNCHANGED, Writer, refused, sha256


@pytest.fixture
async def writer(searcher_channel: grpc.aio.Channel, project: str) -> Writer:
    stub = SearcherServiceStub(searcher_channel)
    found = await stub.GetProject(wire.GetProjectRequest(name=project))
    return Writer(stub, project, found.project.space)


def stamped(writer: Writer, seed: int, uri: str, stamp: str, **reference: object) -> wire.IndexImagesRequest:
    request = writer.request(seed, uri, **reference)
    request.stamp = stamp
    return request


async def states(writer: Writer, *references: wire.Reference, space: str = "") -> list[tuple[bytes, str, bool]]:
    asked = wire.CheckReferencesRequest(project=writer.project, references=references, space=space)
    answer = await writer.stub.CheckReferences(asked)
    return [(state.sha256, state.stamp, state.same_labels) for state in answer.states]


async def listed(writer: Writer, size: int = 0, prefix: str = "") -> list[tuple[str, str, bytes, str]]:
    found, token = [], ""
    while True:
        asked = wire.ListReferencesRequest(project=writer.project, uri_prefix=prefix, page_size=size, page_token=token)
        page = await writer.stub.ListReferences(asked)
        found += [(one.reference.uri, one.reference.product, one.sha256, one.stamp) for one in page.references]
        if not (token := page.next_page_token):
            return found


async def test_the_state_of_each_reference_is_told_in_the_order_of_the_request(writer: Writer) -> None:
    await writer.send(stamped(writer, 1, "a", "v1", labels={"size": "m"}), stamped(writer, 2, "b", "", product="hat"))
    assert await states(
        writer,
        wire.Reference(uri="b", product="hat"),
        wire.Reference(uri="b"),
        wire.Reference(uri="a", labels={"size": "m"}),
        wire.Reference(uri="a", labels={"size": "l"}),
        wire.Reference(uri="b", product="hat"),
    ) == [
        (sha256(2), "", True),
        (b"", "", False),
        (sha256(1), "v1", True),
        (sha256(1), "v1", False),
        (sha256(2), "", True),
    ]
    assert await states(writer) == []


async def test_a_reference_that_cannot_be_stored_is_not_and_keeps_no_other_from_being_told(writer: Writer) -> None:
    await writer.send(stamped(writer, 1, "a", "v1"))
    asked = [wire.Reference(uri="\0"), wire.Reference(uri="a"), wire.Reference()]
    assert await states(writer, *asked) == [(b"", "", False), (sha256(1), "v1", True), (b"", "", False)]


async def test_a_reference_whose_image_lacks_a_vector_in_the_space_is_none(writer: Writer) -> None:
    await writer.send(stamped(writer, 1, "a", "v1"))
    await writer.stub.CreateSpace(wire.CreateSpaceRequest(project=writer.project, space="new"))
    assert await states(writer, wire.Reference(uri="a")) == [(sha256(1), "v1", True)]
    assert await states(writer, wire.Reference(uri="a"), space="new") == [(b"", "", False)]


async def test_a_stamp_stays_with_the_image_that_it_was_of(writer: Writer) -> None:
    """So a file is never taken for unchanged by the stamp of what was there before."""

    async def stamp() -> str:
        [(_, found, _)] = await states(writer, wire.Reference(uri="a"))
        return found

    assert await writer.send(stamped(writer, 1, "a", "v1")) == [INDEXED]
    assert await writer.send(stamped(writer, 1, "a", "v2")) == [UNCHANGED]
    assert await stamp() == "v2"
    assert await writer.send(stamped(writer, 1, "a", "")) == [UNCHANGED]
    assert await stamp() == "v2"
    assert await writer.send(stamped(writer, 1, "a", "", labels={"size": "m"})) == [INDEXED]
    assert await stamp() == "v2"
    assert await writer.send(stamped(writer, 2, "a", "")) == [INDEXED]
    assert await stamp() == ""


async def test_references_are_listed_page_by_page(writer: Writer) -> None:
    await writer.send(
        stamped(writer, 1, "x/a", "v1"), stamped(writer, 1, "y/a", "v2", product="hat"), stamped(writer, 2, "x/b", "")
    )
    everything = [("x/a", "", sha256(1), "v1"), ("y/a", "hat", sha256(1), "v2"), ("x/b", "", sha256(2), "")]
    assert await listed(writer) == everything
    assert await listed(writer, size=1) == everything
    assert await listed(writer, prefix="x/") == [everything[0], everything[2]]


async def test_exactly_the_named_references_are_deleted(writer: Writer) -> None:
    await writer.send(writer.request(1, "a"), writer.request(1, "a", product="hat"), writer.request(2, "b"))
    named = [wire.Reference(uri="a", product="hat", labels={"any": "label"}), wire.Reference(uri="b", staged=True)]
    answer = await writer.stub.DeleteImages(wire.DeleteImagesRequest(project=writer.project, references=named))
    assert (answer.deleted_reference_count, answer.deleted_image_count) == (1, 0)
    assert [uri for uri, *_ in await listed(writer)] == ["a", "b"]


@pytest.mark.parametrize(
    ("request_", "method", "said"),
    [
        (
            wire.CheckReferencesRequest(references=[wire.Reference(uri="a")] * 1001),
            "CheckReferences",
            "references: must be at most 1000, got 1001",
        ),
        (wire.ListReferencesRequest(page_size=-1), "ListReferences", "page_size: must not be negative, got -1"),
        (wire.ListReferencesRequest(page_token="forged"), "ListReferences", "page_token: must be"),  # noqa: S106
        (wire.ListReferencesRequest(uri_prefix="\0"), "ListReferences", "uri_prefix: must not contain"),
        (
            wire.DeleteImagesRequest(references=[wire.Reference()]),
            "DeleteImages",
            r"references\[0\]\.uri: must be 1 to 2048 bytes",
        ),
    ],
)
async def test_what_breaks_a_rule_is_told(
    writer: Writer, request_: wire.CheckReferencesRequest, method: str, said: str
) -> None:
    request_.project = writer.project
    error = await refused(getattr(writer.stub, method)(request_))
    assert isinstance(error, InvalidRequestError)
    assert re.search(said, str(error))


async def test_a_stamp_that_is_too_long_is_refused(writer: Writer) -> None:
    assert await writer.send(stamped(writer, 1, "a", "x" * 257)) == ["INVALID_FIELD"]
