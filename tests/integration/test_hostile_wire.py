"""Hostile messages to all RPCs of both servers: each is answered with a status of ours, in words of ours."""

import random
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from lookalike.v1 import embedder_pb2, searcher_pb2
from lookalike_serving.server import Server
from tests.integration.conftest import address
from tests.memory import resident
from tests.refused_stream import STATUS_LOST

MEBIBYTES: Final = 1024 * 1024
_EACH: Final = 24
"""Messages for each method."""
_FAULTS: Final = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
_OF_PYTHON: Final = re.compile(r"Error\b|Exception|Traceback|<class|_pb2|google\.protobuf")
_MOST_GROWTH: Final = 150 * MEBIBYTES
"""Of this process, with the client in it, over some two hundred messages of 1 to 16 MiB."""
_LENGTHS: Final = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE)


Channels = Callable[[MethodDescriptor], grpc.aio.Channel]
"""The channel to the server that has a method."""


def methods(*modules: object) -> list[MethodDescriptor]:
    return [
        method
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


OF_EMBEDDER: Final = methods(embedder_pb2)
EVERYWHERE: Final = methods(health_pb2, reflection_pb2)
OF_SEARCHER: Final = methods(searcher_pb2)


def varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found, value = found + bytes([value & 0x7F | 0x80]), value >> 7
    return found + bytes([value])


class Hostile:
    """Makes messages: some fields as they should be, then what nobody should send."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - no secret

    def message(self, kind: Descriptor, project: str) -> bytes:
        """A message that may be one of this kind."""
        tricks = [self._entries, self._deep, self._unknown, self._groups, self._overlong, self._swapped]
        tricks += [self._packed, self._no_text, self._truncated, self._noise, self._valid, self._valid]
        return self._dice.choice(tricks)(kind, project)

    def _valid(self, kind: Descriptor, project: str, depth: int = 0) -> bytes:
        """Fields with values of their types; the project is one that is there."""
        found = b""
        for field in kind.fields:
            for _ in range(self._dice.randint(0, 2 if field.is_repeated else 1)):
                found += varint(field.number << 3 | self._wire_type(field)) + self._value(field, project, depth)
        return found

    @staticmethod
    def _wire_type(field: FieldDescriptor) -> int:
        fixed = {FieldDescriptor.TYPE_DOUBLE: 1, FieldDescriptor.TYPE_FLOAT: 5}
        return 2 if field.type in _LENGTHS else fixed.get(field.type, 0)

    def _value(self, field: FieldDescriptor, project: str, depth: int) -> bytes:
        if field.message_type:
            return self._sized(self._valid(field.message_type, project, depth + 1) if depth < 4 else b"")
        if field.name in ("project", "name"):
            return self._sized(project.encode())
        match self._wire_type(field):
            case 2:
                texts = [b"", b"x", "é".encode() * 1024, b"\0", b"x" * 22, bytes(32), b"AAAA" * 700, b"[1]\n"]
                return self._sized(self._dice.choice(texts))
            case 0:
                return varint(self._dice.choice([0, 1, 7, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64 - 1]))
            case 1:
                return self._dice.randbytes(8)
            case _:
                return self._dice.choice([b"\0\0\xc0\x7f", b"\0\0\x80\x7f", self._dice.randbytes(4)])

    @staticmethod
    def _sized(data: bytes) -> bytes:
        return varint(len(data)) + data

    def _entries(self, kind: Descriptor, project: str) -> bytes:
        """Millions of empty messages, or texts."""
        number = self._dice.choice([field.number for field in kind.fields] or [1])
        return varint(number << 3 | 2) + b"\0" if not self._dice.randint(0, 3) else self._repeated(number)

    def _repeated(self, number: int) -> bytes:
        one = varint(number << 3 | 2) + b"\0"
        return one * (self._dice.choice([1, 16]) * MEBIBYTES // len(one))

    def _deep(self, kind: Descriptor, project: str) -> bytes:
        """A message within a message, many times."""
        number = self._dice.choice([field.number for field in kind.fields] or [1])
        found = b""
        for _ in range(self._dice.choice([50, 150, 2_000])):
            found = varint(number << 3 | 2) + self._sized(found)
        return found

    def _unknown(self, kind: Descriptor, project: str) -> bytes:
        size = self._dice.choice([100, 20_000, 14 * MEBIBYTES])
        return self._valid(kind, project) + varint(2047 << 3 | 2) + self._sized(bytes(size))

    def _groups(self, kind: Descriptor, project: str) -> bytes:
        """Groups, which end or do not, within each other or not."""
        begin, end, times = b"\x7b", b"\x7c", self._dice.choice([3, 90, 200, MEBIBYTES])
        forms = [begin * times + end * times, (begin + end) * times, begin * times, end * times]
        return self._valid(kind, project) + self._dice.choice(forms)

    def _overlong(self, kind: Descriptor, project: str) -> bytes:
        """Numbers of more bytes than they need, or than there may be."""
        long = b"\x80" * self._dice.choice([3, 9, 10, 11, MEBIBYTES])
        return self._dice.choice([b"\x08" + long + b"\0", b"\x0a" + long + b"\0", b"\x8a" + long + b"\0", long])

    def _swapped(self, kind: Descriptor, project: str) -> bytes:
        """Fields of another type than they have."""
        return b"".join(
            varint(field.number << 3 | self._dice.randrange(8)) + self._dice.randbytes(8) for field in kind.fields
        )

    def _packed(self, kind: Descriptor, project: str) -> bytes:
        """Millions of numbers in one field."""
        number = self._dice.choice([field.number for field in kind.fields] or [1])
        return varint(number << 3 | 2) + self._sized(bytes(self._dice.choice([4, 2048, 12 * MEBIBYTES])))

    def _no_text(self, kind: Descriptor, project: str) -> bytes:
        return b"".join(varint(field.number << 3 | 2) + b"\x03\xed\xa0\x80" for field in kind.fields)

    def _truncated(self, kind: Descriptor, project: str) -> bytes:
        found = self._valid(kind, project)
        return found[: self._dice.randint(0, len(found))]

    def _noise(self, kind: Descriptor, project: str) -> bytes:
        return self._dice.randbytes(self._dice.choice([1, 40, 5_000]))


async def answered(channel: grpc.aio.Channel, method: MethodDescriptor, data: bytes) -> tuple[grpc.StatusCode, str]:
    """How a call with that one message ends."""
    name = f"/{method.containing_service.full_name}/{method.name}"
    try:
        if not method.client_streaming and not method.server_streaming:
            await channel.unary_unary(name)(data, timeout=60)
        elif name.endswith("/Watch"):  # which has no end
            call: Any = channel.unary_stream(name)(data, timeout=60)
            await call.read()
            call.cancel()
        else:
            async for _ in channel.stream_stream(name)(iter([data]), timeout=60):
                pass
    except grpc.aio.AioRpcError as error:
        if error.details() == STATUS_LOST:
            return await answered(channel, method, data)
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


@pytest.fixture
async def channels(searcher: Server, quick_embedder: Server) -> AsyncIterator[Channels]:
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    async with (
        grpc.aio.insecure_channel(address(searcher), options=options) as one,
        grpc.aio.insecure_channel(address(quick_embedder), options=options) as other,
    ):
        yield lambda method: other if method in OF_EMBEDDER else one


async def test_each_hostile_message_gets_a_status_of_ours_and_memory_stays_flat(
    channels: Channels, quick_project: str
) -> None:
    hostile = Hostile(17)
    before, wrong = 0, []
    for number in range(_EACH):
        for method in (*OF_SEARCHER, *OF_EMBEDDER, *EVERYWHERE):
            project = "nowhere" if "Delete" in method.name else quick_project
            data = hostile.message(method.input_type, project)
            code, details = await answered(channels(method), method, data)
            if code in _FAULTS or _OF_PYTHON.search(details):
                wrong.append((method.name, data[:40], len(data), code, details[:200]))
        before = before or (resident() if number == 3 else 0)
    assert not wrong, wrong[:5]
    assert resident() - before < _MOST_GROWTH
