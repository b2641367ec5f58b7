"""Requests that travel together: none is lost, none is large, and none goes to a server that does not know of it."""

from collections.abc import Sequence
from itertools import pairwise

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike._transport.message_batches import IMAGES, MAX_BATCH_BYTES
from lookalike.v1.embedder_pb2 import EmbedEntry, EmbedStreamRequest, EmbedStreamResponse

SIZES = st.lists(
    st.sampled_from([0, 1, 50_000, MAX_BATCH_BYTES // 2, MAX_BATCH_BYTES, MAX_BATCH_BYTES + 1]), max_size=12
)


def unpacked(requests: Sequence[EmbedStreamRequest]) -> list[list[EmbedEntry | EmbedStreamRequest]]:
    return [[*message.entries] or [message] for message in IMAGES.pack(requests)]


@given(SIZES)
def test_each_request_is_in_one_message_in_order_and_no_message_of_several_is_large(sizes: list[int]) -> None:
    requests = [EmbedStreamRequest(sequence=number, image=bytes(size)) for number, size in enumerate(sizes)]
    messages = unpacked(requests)
    assert [(entry.sequence, entry.image) for entries in messages for entry in entries] == [
        (request.sequence, request.image) for request in requests
    ]
    for entries in messages:
        assert len(entries) == 1 or sum(len(entry.image) for entry in entries) <= MAX_BATCH_BYTES


@given(SIZES)
def test_no_message_could_have_gone_with_the_one_before(sizes: list[int]) -> None:
    requests = [EmbedStreamRequest(image=bytes(size)) for size in sizes]
    messages = unpacked(requests)
    for before, entries in pairwise(messages):
        assert sum(len(entry.image) for entry in [*before, entries[0]]) > MAX_BATCH_BYTES


def test_a_request_alone_travels_as_it_does_to_a_server_that_knows_nothing_else() -> None:
    request = EmbedStreamRequest(sequence=7, image=b"photo")
    assert list(IMAGES.pack([request])) == [request]


@pytest.mark.parametrize(
    ("metadata", "max_requests"),
    [
        ((), 1),
        ((("lookalike-entries", "64"),), 64),
        ((("lookalike-entries", "0"),), 1),
        ((("lookalike-entries", "?"),), 1),
    ],
)
def test_a_server_says_how_many_it_takes(metadata: tuple[tuple[str, str], ...], max_requests: int) -> None:
    assert IMAGES.max_requests(grpc.aio.Metadata(*metadata)) == max_requests


def test_answers_come_alone_or_together() -> None:
    alone = EmbedStreamResponse(sequence=1)
    together = EmbedStreamResponse(entries=[EmbedStreamResponse(sequence=2), EmbedStreamResponse(sequence=3)])
    assert [answer.sequence for message in (alone, together) for answer in IMAGES.unpack(message)] == [1, 2, 3]
