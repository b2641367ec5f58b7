"""Calls that are refused, each as large as a message may be: `python -m tests.bench.attack.refused_calls PLAN`.

The plan is JSON: the servers' addresses, tokens, and how many calls. It runs in a process of its own, so that who
measures beside it measures the servers.
"""

import asyncio
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import grpc

from lookalike._transport.channel import EMBEDDER, SEARCHER

MEBIBYTES: Final = 1024 * 1024
_LARGE: Final = 14 * MEBIBYTES
_AT_ONCE: Final = 8
_IDLE: Final = b"\x00" * _LARGE
_UNKNOWN_FIELD: Final = b"\xfa\x7f\x80\x80\x80\x07" + _IDLE  # number 2047, of so many bytes
_EMPTY: Final = 8 * MEBIBYTES - 64 * 1024


@dataclass(frozen=True)
class Hostile:
    """A call: where, what, with whose token, and the status that it ends with."""

    method: str
    data: bytes
    token: str
    expected: grpc.StatusCode

    @property
    def of_searcher(self) -> bool:
        """Whether it goes to the searcher; else to the embedder."""
        return self.method.startswith(SEARCHER)


def _text(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2, len(value)]) + value


def hostile() -> list[Hostile]:
    """One of each kind."""
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    nowhere = _text(1, b"nowhere")
    of_searcher = [
        ("SearchBatch", b"\x0a\x00" * _EMPTY, "", grpc.StatusCode.UNAUTHENTICATED),
        ("GetProject", nowhere + _UNKNOWN_FIELD, "", grpc.StatusCode.UNAUTHENTICATED),
        ("IndexImages", b"\x4a\x00" * _EMPTY, "", grpc.StatusCode.UNAUTHENTICATED),
        ("DeleteImages", nowhere + b"\x12\x00" * _EMPTY, "reader", grpc.StatusCode.PERMISSION_DENIED),
        ("GetProject", nowhere + _UNKNOWN_FIELD, "all", invalid),
        ("SearchBatch", b"\x0a\x00" * _EMPTY, "all", invalid),
        ("CheckReferences", nowhere + b"\x12\x00" * _EMPTY, "all", invalid),
        ("SyncProduct", nowhere + b"\x1a\x00" * _EMPTY, "all", invalid),
        ("RecordFeedback", nowhere + b"\x12\x00" * _EMPTY, "all", invalid),
        ("IndexImages", b"\x4a\x00" * _EMPTY, "all", invalid),
        ("SyncProduct", b"\x80" * _LARGE, "all", invalid),
        ("CheckReferences", nowhere + _UNKNOWN_FIELD, "all", invalid),
    ]
    of_embedder = [
        ("Embed", b"\x0a\x80\x80\x80\x07" + _IDLE, "", grpc.StatusCode.UNAUTHENTICATED),
        ("Embed", b"\x0a\x80\x80\x80\x07" + _IDLE, "administrator", grpc.StatusCode.PERMISSION_DENIED),
        ("Embed", b"\x0a\x80\x80\x80\x07" + _IDLE, "all", invalid),
        ("GetModel", _UNKNOWN_FIELD, "all", invalid),
        ("EmbedStream", b"\x1a\x00" * _EMPTY, "all", invalid),
    ]
    return [Hostile(f"{SEARCHER}/{method}", *rest) for method, *rest in of_searcher] + [
        Hostile(f"{EMBEDDER}/{method}", *rest) for method, *rest in of_embedder
    ]


async def send(plan: dict[str, str], count: int) -> Counter[str]:
    """Send so many, a few at a time. Returns how often what was answered: the status, and whether it was expected."""
    answers: Counter[str] = Counter()
    options = [("grpc.max_send_message_length", -1)]
    async with (
        grpc.aio.insecure_channel(plan["searcher"], options=options) as searcher,
        grpc.aio.insecure_channel(plan["embedder"], options=options) as embedder,
    ):

        async def work(calls: Iterator[Hostile]) -> None:
            for call in calls:
                channel = searcher if call.of_searcher else embedder
                token = plan.get(call.token)
                metadata = [("authorization", f"Bearer {token}")] if token else None
                try:
                    await channel.unary_unary(f"/{call.method}")(call.data, metadata=metadata)
                    code = grpc.StatusCode.OK
                except grpc.aio.AioRpcError as error:
                    code = error.code()
                answers[code.name if code is call.expected else f"{call.method}: {code.name}, not {call.expected}"] += 1

        calls = itertools.islice(itertools.cycle(hostile()), count)
        await asyncio.gather(*(work(calls) for _ in range(_AT_ONCE)))
    return answers


def main() -> None:
    """Send what the plan says; print what was answered."""
    plan = json.loads(sys.argv[1])
    print(json.dumps(asyncio.run(send(plan, plan["count"]))))


if __name__ == "__main__":
    main()
