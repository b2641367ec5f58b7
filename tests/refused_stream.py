"""The status with which a server refuses a stream, whatever grpc.aio makes of it."""

from collections.abc import AsyncIterable, Callable
from typing import Any, Final

import grpc
import pytest

STATUS_LOST: Final = "Internal error from Core"
"""grpc.aio's details for a stream that ended while a write was under way: it may put an INTERNAL of its own in the
place of the server's status (grpc/grpc#36066). Our client repeats such a call, see `is_transient`."""
_ATTEMPTS: Final = 50


async def refused_stream(stream: Callable[[], AsyncIterable[Any]]) -> tuple[list[Any], grpc.aio.AioRpcError]:
    """The answers of a stream that a server refuses, and the refusal.

    Args:
        stream: makes the call. It is made again where its status was lost, so it must do nothing that counts.
    """
    for _ in range(_ATTEMPTS):
        answers: list[Any] = []
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for answer in stream():
                answers.append(answer)  # noqa: PERF401 - those before the refusal are kept
        if caught.value.details() != STATUS_LOST:
            return answers, caught.value
    raise AssertionError(f"the status was lost {_ATTEMPTS} times")
