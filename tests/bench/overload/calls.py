"""Single calls, by the generated stubs on bare channels: nothing tries again, so that each refusal is seen."""

import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc

from lookalike.v1 import embedder_pb2, searcher_pb2
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from tests.bench.overload.plan import Method

OK: Final = "OK"
OK_LATE: Final = "OK, late"
REFUSED: Final = "RESOURCE_EXHAUSTED, RetryInfo"
REFUSED_BARE: Final = "RESOURCE_EXHAUSTED"
CHANNELS: Final = 8
_NAMED: Final = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
_CHANNEL: Final = (
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),  # a connection for each channel
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)


class Answer(NamedTuple):
    """What became of a call.

    Times are of the monotonic clock, which all processes of a Linux machine share.

    Attributes:
        due: when it was to begin.
        sent: when it began.
        ended: when the answer was there.
        status: OK, the name of a status with what matters of its details, or "other: …".
    """

    due: float
    sent: float
    ended: float
    status: str


class Caller:
    """Makes one kind of call, over its channels in turn, each with the next of the requests in random order."""

    def __init__(self, method: Method, channels: Sequence[grpc.aio.Channel], requests: Path, seed: int) -> None:
        stub: Callable[[grpc.aio.Channel], Any] = {"Search": SearcherServiceStub, "Embed": EmbedderServiceStub}[method]
        kind: Any = {"Search": searcher_pb2.SearchRequest, "Embed": embedder_pb2.EmbedRequest}[method]
        self._requests = [kind.FromString(path.read_bytes()) for path in sorted(requests.iterdir())]
        self._methods = [getattr(stub(channel), method) for channel in channels]
        self._dice = random.Random(seed)  # noqa: S311 - no secret

    async def call(self, due: float, deadline: float, channel: int) -> Answer:
        """Make one call; an answer after the deadline counts as late."""
        request = self._dice.choice(self._requests)
        sent = time.monotonic()
        try:
            await self._methods[channel % len(self._methods)](request, timeout=max(due + deadline - sent, 0.001))
        except grpc.aio.AioRpcError as error:
            return Answer(due, sent, time.monotonic(), _status(error))
        ended = time.monotonic()
        return Answer(due, sent, ended, OK if ended <= due + deadline else OK_LATE)


@asynccontextmanager
async def caller(method: Method, address: str, requests: Path, seed: int) -> AsyncIterator[Caller]:
    """A caller whose connections stand."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, _CHANNEL)) for _ in range(CHANNELS)
        ]
        for channel in channels:
            await channel.channel_ready()
        yield Caller(method, channels, requests, seed)


def _status(error: grpc.aio.AioRpcError) -> str:
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        return REFUSED if b"google.rpc.RetryInfo" in details else REFUSED_BARE  # by its type's URL
    return error.code().name if error.code() in _NAMED else f"other: {error.code().name}"
