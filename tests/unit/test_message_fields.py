"""How requests are read: as protobuf does, but never more than any request of their method needs."""

import time
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import embedder_pb2, searcher_pb2
from lookalike.v1 import searcher_pb2 as wire
from lookalike_embedder.message_limits import LIMITS as EMBEDDERS
from lookalike_searcher import validation
from lookalike_searcher.database.halfvec import MAX_DIMENSIONS
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.projects.projection import MAX_NUMBERS
from lookalike_searcher.rpc import parse
from lookalike_searcher.rpc.message_limits import LIMITS
from lookalike_serving.errors import InvalidMessage
from lookalike_serving.message_fields import Malformed, TooMany, check, shape_of
from lookalike_serving.parsing import SMALL, Limits, Parser
from tests.indexer import vector

SEARCHES = "lookalike.v1.SearcherService"
MEBIBYTES = 1024 * 1024
METHODS = [
    *((method, LIMITS) for method in searcher_pb2.DESCRIPTOR.services_by_name["SearcherService"].methods),
    *((method, EMBEDDERS) for method in embedder_pb2.DESCRIPTOR.services_by_name["EmbedderService"].methods),
]
BATCH = shape_of(wire.SearchBatchRequest.DESCRIPTOR, LIMITS.entries)


def parser(method: str) -> Parser:
    kind: Any = getattr(wire, f"{method}Request")
    return Parser(f"{SEARCHES}/{method}", kind, LIMITS)


def repeated(message: Descriptor) -> set[str]:
    """The full names of all repeated fields in a message, and in those within it."""
    found = {field.full_name for field in message.fields if field.is_repeated}
    for field in message.fields:
        if field.message_type:
            found |= repeated(field.message_type)
    return found


def test_each_repeated_field_of_a_request_has_a_limit() -> None:
    for method, limits in METHODS:
        assert repeated(method.input_type) <= set(limits.entries), method.full_name


def text(size: int, number: int = 0) -> str:
    return f"{number:04}".ljust(size, "x")


EMBEDDING = common.Embedding(space=text(128), values=vector(1))
LONGEST = common.Embedding(space=text(128), values=[0.0, 1.0, *[0.0] * (MAX_DIMENSIONS - 2)])
LABELS = {text(64, number): text(256) for number in range(validation.MAX_LABELS)}
SHORT = {str(number): "v" for number in range(validation.MAX_LABELS)}
GROUPS = [
    wire.LabelGroup(any_of=[wire.Label(name=name, value=value) for name, value in LABELS.items()])
] * validation.MAX_LABEL_GROUPS
NAMES = [text(256, number) for number in range(validation.MAX_NAMED)]
FILTER = wire.Filter(products=NAMES, variants=NAMES, staged=True, uri_prefix=text(2048), labels=GROUPS)
EXAMPLES = [wire.Example(embedding=LONGEST)] * validation.MAX_EXAMPLES
SEARCH = wire.SearchRequest(
    project=text(63), positives=EXAMPLES, negatives=EXAMPLES, filter=FILTER, space=text(128), page_token=text(2048)
)
LEAN = wire.SearchRequest(
    project="p",
    positives=[wire.Example(uri="u")] * validation.MAX_EXAMPLES,
    negatives=[wire.Example(uri="u")] * validation.MAX_EXAMPLES,
    filter=wire.Filter(
        products=["p"] * validation.MAX_NAMED,
        variants=["v"] * validation.MAX_NAMED,
        labels=[wire.LabelGroup(any_of=[wire.Label(name="n", value="v")] * validation.MAX_LABELS)]
        * validation.MAX_LABEL_GROUPS,
    ),
)
REFERENCE = wire.Reference(uri="u", product="p", variant="v", staged=True, labels=SHORT)
ENTRY = wire.ImageEntry(
    sha256=bytes(32),
    embedding=EMBEDDING,
    further_embeddings=[EMBEDDING] * validation.MAX_FURTHER_EMBEDDINGS,
    width=1,
    height=1,
    reference=REFERENCE,
    stamp="s",
)
VERDICT = wire.HitVerdict(sha256=bytes(32), rank=1_000_000, verdict=wire.VERDICT_RIGHT)
FEEDBACK = wire.SearchFeedback(
    search_id=text(22), query_uri=text(2048), query_embedding=LONGEST, verdicts=[VERDICT] * 10
)
LARGEST: dict[str, Any] = {
    "Search": SEARCH,
    "SearchBatch": wire.SearchBatchRequest(requests=[LEAN] * validation.MAX_BATCH),
    "ListImages": wire.ListImagesRequest(project=text(63), filter=FILTER, page_token=text(2048)),
    "IndexImages": wire.IndexImagesRequest(project="p", entries=[ENTRY] * validation.MAX_ENTRIES),
    "SyncProduct": wire.SyncProductRequest(project="p", product="p", entries=[ENTRY] * validation.MAX_SYNCED),
    "DeleteImages": wire.DeleteImagesRequest(project="p", references=[REFERENCE] * validation.MAX_NAMED),
    "CheckReferences": wire.CheckReferencesRequest(project="p", references=[REFERENCE] * validation.MAX_NAMED),
    "CheckImages": wire.CheckImagesRequest(project=text(63), sha256s=[bytes(32)] * validation.MAX_HASHES),
    "RecordFeedback": wire.RecordFeedbackRequest(project=text(63), searches=[FEEDBACK] * validation.MAX_JUDGED),
    "DeleteFeedback": wire.DeleteFeedbackRequest(project=text(63), search_ids=[text(22)] * validation.MAX_NAMED),
    "CreateSpace": wire.CreateSpaceRequest(
        project=text(63),
        space=text(128),
        projection=wire.Projection(source=text(128), matrix=[0.5] * MAX_NUMBERS, centre=[0.5] * 2048),
    ),
    "GetImage": wire.GetImageRequest(project=text(63), uri=text(2048)),
    "ListReferences": wire.ListReferencesRequest(project=text(63), uri_prefix=text(2048), page_token=text(2048)),
}


@pytest.mark.parametrize("method", LARGEST)
def test_the_largest_request_that_is_valid_passes(method: str) -> None:
    largest = LARGEST[method]
    assert parser(method)(largest.SerializeToString()) == largest


def test_it_is_the_largest_that_the_searcher_takes() -> None:
    assert len(parse.filter_(FILTER).products) == validation.MAX_NAMED
    with pytest.raises(InvalidField):
        parse.filter_(wire.Filter(products=[*NAMES, "one more"]))


@pytest.mark.parametrize(
    ("method", "entry"),
    [
        ("SearchBatch", b"\x0a\x00"),
        ("SyncProduct", b"\x1a\x00"),
        ("DeleteImages", b"\x12\x00"),
        ("CheckReferences", b"\x12\x00"),
        ("IndexImages", b"\x4a\x00"),
        ("IndexImages", b"\x7b\x7c\x4a\x00"),  # each behind a group that we do not know
        ("SyncProduct", b"\x08\x07"),  # numbers where a text should be
        ("SearchBatch", b"\x0a\x08" + 4 * b"\x32\x00"),  # within another
    ],
)
def test_of_too_many_entries_hardly_any_is_looked_at(method: str, entry: bytes) -> None:
    """What would be parsed in seconds, into a gigabyte, is refused in milliseconds of this process."""
    data = entry * (16 * MEBIBYTES // len(entry))
    began = time.process_time()
    with pytest.raises(InvalidMessage) as caught:
        parser(method)(data)
    assert caught.value.reason == "TOO_MANY_ENTRIES"
    assert time.process_time() - began < 1


def test_entries_are_counted_wherever_they_are() -> None:
    search = wire.SearchRequest(positives=[wire.Example()] * 20_000).SerializeToString()
    batch = wire.SearchBatchRequest(requests=[wire.SearchRequest.FromString(search)]).SerializeToString()
    with pytest.raises(TooMany):
        check(batch, BATCH, MEBIBYTES)


@pytest.mark.parametrize(
    ("method", "data", "reason"),
    [
        ("GetProject", b"\x0a\x02\xff\xff", "MESSAGE_UNPARSABLE"),  # no UTF-8
        ("GetProject", b"\x80", "MESSAGE_UNPARSABLE"),
        ("GetProject", b"\x0a\x7f", "MESSAGE_UNPARSABLE"),
        ("SyncProduct", b"\x80" * 14 * MEBIBYTES, "MESSAGE_UNPARSABLE"),
        ("GetProject", b"\xfa\x7f\x80\x80\x01" + bytes(SMALL), "MESSAGE_TOO_LARGE"),
        (
            "CheckReferences",
            b"\xfa\x7f\x80\x80\x80\x07" + bytes(14 * MEBIBYTES),
            "MESSAGE_TOO_LARGE",
        ),  # a field unknown
        ("CheckReferences", b"\x0a\x80\x80\x80\x07" + b"a" * 14 * MEBIBYTES, "MESSAGE_TOO_LARGE"),  # a project's name
    ],
)
def test_what_cannot_be_read_is_refused_in_words_of_our_own(method: str, data: bytes, reason: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        parser(method)(data)
    assert caught.value.reason == reason
    assert caught.value.message.startswith("message: ")
    assert method in caught.value.message
    assert "Request'" not in caught.value.message


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60))
@example(b"\x80" * 11)  # a number without an end
@example(b"\x0a\x04\x7b\x7c\x12\x00")  # an empty group of another version, then an embedding
@example(b"\x0a\x7f")  # a search that ends after the message
@example(b"\x0a\x80\x80\x80\x80\x80\x00")  # a size that is longer than it need be
@example(b"\x12\x00\x0b\x0c")
def test_what_is_counted_is_never_less_than_what_protobuf_reads(data: bytes) -> None:
    """Whatever bytes come: if protobuf reads a batch from them, there are as many fields counted, or it is refused."""
    data *= 200
    try:
        found = wire.SearchBatchRequest.FromString(data)
    except DecodeError:
        return
    few = shape_of(wire.SearchBatchRequest.DESCRIPTOR, {"lookalike.v1.SearchBatchRequest.requests": 1})
    try:
        check(data, few, MEBIBYTES)
    except (TooMany, Malformed):
        return
    assert len(found.requests) <= few.own


def test_a_server_that_sets_no_limits_takes_small_requests() -> None:
    small = Parser("service/GetProject", wire.GetProjectRequest, Limits())
    assert small(wire.GetProjectRequest(name="x").SerializeToString()).name == "x"
    with pytest.raises(InvalidMessage, match="at most 16384 bytes, got 16387"):
        small(b"\x0a\x80\x80\x01" + bytes(SMALL - 1))
