"""How a stream's requests are read: no further than they may be long.

A message of 16 MiB holds eight million entries if they are empty. To parse those took 2 s, in which the event loop did
nothing else, and half a gigabyte; to count them first takes a microsecond for each of as many as there may be.
"""

from typing import Final

from lookalike.v1 import embedder_pb2 as wire

MAX_ENTRIES: Final = 64
"""The most images in a message, and answers: what a message costs beside its bytes is small by then."""

_MAX_FIELDS: Final = MAX_ENTRIES + 3
_VARINT_BYTES: Final = 10


def parsed(data: bytes) -> wire.EmbedStreamRequest:
    """A request from its bytes; of one with too many entries only as many as show that.

    Raises:
        google.protobuf.message.DecodeError: it is none.
    """
    at = 0
    for _ in range(_MAX_FIELDS):
        if at >= len(data):
            break
        at = _after(data, at)
    return wire.EmbedStreamRequest.FromString(data[:at] if at < len(data) else data)


def _after(data: bytes, at: int) -> int:
    """Where the field ends that begins here. Groups, which are none of ours, count as fields at both of their ends."""
    tag, at = _varint(data, at)
    match tag & 7:
        case 0:
            return _varint(data, at)[1]
        case 1:
            return at + 8
        case 2:
            size, at = _varint(data, at)
            return at + size
        case 5:
            return at + 4
        case _:
            return at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends; the end of all if it is none, which the parser finds there too."""
    value = 0
    for place, byte in enumerate(data[at : at + _VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    return 0, len(data)
