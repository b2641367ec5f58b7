"""Bound by time how long calls wait in gRPC until the event loop takes them.

gRPC queues the calls of a service, first come, first served, and tells nobody how many wait, or since when. A slow
process is seconds late with a short queue, and then answers only callers who are about to leave. So while calls come,
calls of our own wait with them, on a socket that nobody else can reach, and tell how long that takes.
"""

import asyncio
import logging
import math
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc

from lookalike.constants import ChannelOptions
from lookalike_serving.arrivals import Arrivals
from lookalike_serving.errors import LateTaken
from lookalike_serving.patience import acceptable_wait, retry_after
from lookalike_serving.scheduling import Scheduling

logger = logging.getLogger(__name__)

MAX_PENDING: Final = 128
"""So many calls of a service may wait until the event loop takes them. gRPC resets those that arrive then (its own
number is 3,000), without a reason, in 0.02 to 0.03 ms of a processor; to refuse one with a reason takes 0.25 to 0.29.
With 64, bursts of 100 calls lost some; with 256, overloaded searchers answered less: see docs/capacity.md."""
OPTIONS: Final[ChannelOptions] = [
    ("grpc.server.max_pending_requests", MAX_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING),
    ("grpc.enable_channelz", 1),  # to count them
]
APART: Final = frozenset({"grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"})
"""Calls of these methods wait for the event loop apart from others, so that a flood of others resets none of them."""
_INTERVAL_SECONDS: Final = 0.1
"""Between two of our own calls, each of which takes 0.4 ms of a processor."""
_CALM_INTERVAL_SECONDS: Final = 0.25
"""The same where the last one was taken at once: within _AT_ONCE_SECONDS."""
_AT_ONCE_SECONDS: Final = 0.01
_FULL_SECONDS: Final = 0.02
"""The same where the last one found the queue full, and none has told how long that takes."""
_KEY: Final = "x-lookalike-pending"


class Pending(grpc.GenericRpcHandler):
    """Pending calls have waited when they are taken; those that have for too long are refused, within this context.

    Args:
        arrivals: counts the calls that are taken, and is told how long those of our own have waited.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._wait_seconds, self._measured = 0.0, -math.inf  # what the last call of our own waited, and when that was
        self._sent: float | None = None  # since when one waits now
        self._next = -math.inf  # when the next one may be made; infinite while there is one
        self._secret = secrets.token_hex()
        self._scheduling = Scheduling()
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder = self._address = ""
        self._channel: grpc.aio.Channel | None = None
        self._handler: Any = grpc.unary_unary_rpc_method_handler(_nothing)

    def listen(self, server: grpc.aio.Server) -> None:
        """Let a server that has not started listen on a socket of this process's user.

        Where there can be none, the wait is not measured, and no call is refused for it; the log says so.
        """
        try:
            self._folder = tempfile.mkdtemp(prefix="lookalike-")
            address = f"unix:{Path(self._folder, 'own')}"
            server.add_insecure_port(address)
        except (OSError, RuntimeError) as error:  # nothing may be written there, or the path is too long for a socket
            logger.warning(
                "how long calls wait in gRPC is not measured: no socket in %s: %s", tempfile.gettempdir(), error
            )
        else:
            self._address = address

    async def __aenter__(self) -> Self:
        """Begin to measure: the server has started."""
        if self._address:
            self._channel = grpc.aio.insecure_channel(self._address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End: the server is about to stop."""
        channel, self._channel = self._channel, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._scheduling.note(0.0)
        if channel:
            await channel.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:  # noqa: ANN401 - gRPC's own type
        """Note that a call was taken. Returns its handler if it is one of our own, else None."""
        self.count_taken()
        if (_KEY, self._secret) not in (handler_call_details.invocation_metadata or ()):
            return None
        if self._sent is not None:
            self._measured = time.monotonic()
            self._wait_seconds, self._sent = self._measured - self._sent, None
            self._scheduling.note(self._wait_seconds)
            self._arrivals.wait_seconds.observe(self._wait_seconds)
        return self._handler

    def count_taken(self) -> None:
        """Count a call that was taken. gRPC does not ask `service` for those of APART."""
        self._arrivals.taken += 1

    def check(self, method: str, remaining: float) -> float:
        """Return the seconds that a call has waited that was just taken, and refuse it if that was too long.

        Args:
            method: its full name, with both slashes.
            remaining: seconds until the caller's deadline; infinite if there is none.

        Raises:
            LateTaken: it has.
        """
        if self._channel is None:
            return 0.0
        waited = self._waited(self._channel, method)
        if acceptable_wait(remaining, waited=waited) < 0:
            raise LateTaken(waited, retry_after(waited))
        return waited

    def _waited(self, channel: grpc.aio.Channel, method: str) -> float:
        """Return the seconds that a call has waited that is taken now, and keep measuring, by calls of its method."""
        now = time.monotonic()
        # what is taken before our own call arrived before it
        under_way = now - self._sent if self._sent is not None else 0.0
        if now >= self._next:
            self._sent, self._next = now, math.inf
            task = asyncio.create_task(self._measure(channel, method))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return max(under_way, self._wait_seconds if self._is_fresh(now) else 0.0)

    def _is_fresh(self, now: float) -> bool:
        return now - self._measured <= self._wait_seconds + 2 * _INTERVAL_SECONDS

    async def _measure(self, channel: grpc.aio.Channel, method: str) -> None:
        pause = _INTERVAL_SECONDS
        try:
            own: Any = channel.unary_unary(method)
            await own(b"", metadata=((_KEY, self._secret),))
            if self._wait_seconds < _AT_ONCE_SECONDS:
                pause = _CALM_INTERVAL_SECONDS
        except grpc.aio.AioRpcError:  # the queue is full, or the server ends
            self._scheduling.note(math.inf)
            if self._is_fresh(now := time.monotonic()):
                self._measured = now  # a full queue takes as long as before
            else:
                pause = _FULL_SECONDS
        finally:
            self._sent, self._next = None, time.monotonic() + pause


async def _nothing(_request: bytes, _context: object) -> bytes:
    return b""
