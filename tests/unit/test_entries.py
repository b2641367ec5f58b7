"""How a stream's requests are read: as protobuf does, but of too many entries only as many as show that."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from lookalike.v1.embedder_pb2 import EmbedEntry, EmbedStreamRequest
from lookalike_embedder.request import MAX_ENTRIES, parsed

ENTRY = b"\x1a\x00"
MEBIBYTES = 1024 * 1024
IMAGES = st.binary(max_size=300)
ENTRIES = st.builds(EmbedEntry, sequence=st.integers(0, 2**64 - 1), image=IMAGES)


@given(
    st.builds(
        EmbedStreamRequest,
        sequence=st.integers(0, 2**64 - 1),
        image=IMAGES,
        entries=st.lists(ENTRIES, max_size=MAX_ENTRIES),
    )
)
def test_what_is_sent_is_what_is_read(request: EmbedStreamRequest) -> None:
    assert parsed(request.SerializeToString()) == request


@given(st.binary(max_size=60))
@example(b"\x80" * 11)  # a number without an end
@example(b"\x7b\x7c" + ENTRY)  # an empty group of another version, then an entry
@example(b"\x1a\x7f")  # an entry that ends after the message
def test_what_protobuf_reads_or_refuses_is_read_or_refused_just_so(data: bytes) -> None:
    try:
        expected = EmbedStreamRequest.FromString(data)
    except DecodeError:
        with pytest.raises(DecodeError):
            parsed(data)
    else:
        assert parsed(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        ENTRY * (MAX_ENTRIES + 1),
        ENTRY * 8 * MEBIBYTES,
        b"\x08\x07\x12\x00" + ENTRY * 8 * MEBIBYTES,
        b"\x7b\x7c" + ENTRY * 8 * MEBIBYTES,  # behind a group that we do not know
    ],
    ids=["65", "8 million", "8 million behind an image", "8 million behind a group"],
)
def test_of_too_many_entries_only_as_many_are_read_as_show_that(data: bytes) -> None:
    assert MAX_ENTRIES < len(parsed(data).entries) <= MAX_ENTRIES + 3


def test_no_number_of_small_fields_makes_a_request_long() -> None:
    assert parsed(b"\x08\x07" * 8 * MEBIBYTES) == EmbedStreamRequest(sequence=7)
    with pytest.raises(DecodeError):
        parsed(b"\x80" * 16 * MEBIBYTES)
