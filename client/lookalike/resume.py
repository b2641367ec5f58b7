"""Patience with servers that go away: calls and streams that can be repeated are, until they have been away too long.

gRPC retries a stream only until its first answer; afterwards it is the application's turn. Ours may do it, as every
request of our streams can be repeated without harm.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Final, Generic, ParamSpec, Protocol, TypeVar, cast

import grpc

from lookalike.errors import DeadlineExceededError, LookalikeError, UnavailableError, closed, from_rpc


class _Sequenced(Protocol):
    @property
    def sequence(self) -> int: ...


Request = TypeVar("Request", bound=_Sequenced)
Response = TypeVar("Response", bound=_Sequenced)
T = TypeVar("T")
P = ParamSpec("P")

PATIENCE_SECONDS: Final = 60.0
"""How long a server may be away, without a single answer: long enough for another one to load its model."""
_UNAVAILABLE: Final = grpc.StatusCode.UNAVAILABLE
_FIRST_DELAY_SECONDS: Final = 0.2
_MAX_DELAY_SECONDS: Final = 3.0


class _Patience:
    """Counts what failed since the last progress, and waits before the next attempt."""

    def __init__(self) -> None:
        self.progress()

    def progress(self) -> None:
        """Begin anew."""
        self._attempts = 0
        self._since: float | None = None

    async def wait(self, failure: LookalikeError) -> None:
        """Wait a moment, the longer the more has failed, with jitter; or raise the failure, if it has been too long."""
        now = time.monotonic()
        self._since = self._since or now
        if now - self._since >= PATIENCE_SECONDS:
            raise failure
        delay = min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0**self._attempts)
        self._attempts += 1
        await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - nothing secret about it


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call that can be repeated without harm, again and again while the server is away."""
    patience = _Patience()
    while True:
        try:
            return await call()
        except UnavailableError as error:
            await patience.wait(error)


class ResumableStream(Generic[Request, Response]):
    """Sends what a queue holds, and yields one answer for each request, whatever happens to the connection.

    Args:
        open_call: opens the RPC.
        requests: what to send; None is the end.
        server: the server's name, for error messages.
        timeout: the most seconds without any answer while there are unanswered requests.
    """

    def __init__(
        self,
        open_call: Callable[[], "grpc.aio.StreamStreamCall[Request, Response]"],
        requests: "asyncio.Queue[Request | None]",
        *,
        server: str,
        timeout: float,
    ) -> None:
        self._open_call = open_call
        self._requests = requests
        self._server = server
        self._timeout = timeout
        self._unanswered: dict[int, Request] = {}
        self._ended = False

    async def answers(self) -> AsyncIterator[Response]:
        """Yield answers until the queue has ended and every request is answered.

        Raises:
            UnavailableError: the server stayed away.
            DeadlineExceededError: the server is there but does not answer.
            LookalikeError: the server ended the stream for a reason that a new stream would not mend.
        """
        patience = _Patience()
        while await self._has_work():
            try:
                async for response in self._answers_of_one_call():
                    patience.progress()
                    if self._unanswered.pop(response.sequence, None) is not None:
                        yield response
            except grpc.aio.AioRpcError as error:
                failure = from_rpc(error, self._server)
                if not _is_lost(failure):
                    raise failure from error
            except DeadlineExceededError as error:
                failure = error
            else:
                failure = UnavailableError(f"{self._server}: ends its streams unanswered", code=_UNAVAILABLE)
            if self._unanswered:
                await patience.wait(failure)

    async def _has_work(self) -> bool:
        """Wait for something to send: a server that is not needed is not called."""
        if not self._unanswered and not self._ended:
            self._take(await self._requests.get())
        return bool(self._unanswered)

    def _take(self, request: Request | None) -> None:
        """Note a request from the queue before anything else can happen to it."""
        if request is None:
            self._ended = True
        else:
            self._unanswered[request.sequence] = request

    async def _answers_of_one_call(self) -> AsyncIterator[Response]:
        call = self._open_call()
        writer = asyncio.create_task(self._write(call))
        call.add_done_callback(partial(_cancel, writer))  # a write under way would hide why the call has ended
        try:
            while (response := await self._read(call)) is not grpc.aio.EOF:
                yield response
        finally:
            writer.cancel()
            call.cancel()

    async def _write(self, call: "grpc.aio.StreamStreamCall[Request, Response]") -> None:
        """Send again what is unanswered, then what the queue holds. Never lets go of a request before its answer."""
        try:
            for unanswered in list(self._unanswered.values()):
                await call.write(unanswered)
            while not self._ended:
                request = await self._requests.get()
                self._take(request)
                if request is not None:
                    await call.write(request)
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the call is over; the reader learns why

    async def _read(self, call: "grpc.aio.StreamStreamCall[Request, Response]") -> Any:  # noqa: ANN401 - or EOF
        """The next answer. Waiting is no failure as long as there is nothing to answer."""
        reading = asyncio.ensure_future(call.read())
        try:
            while True:
                waited_for_answer = bool(self._unanswered)
                done, _ = await asyncio.wait({reading}, timeout=self._timeout)
                if done:
                    return await not_closed(lambda: reading)
                if waited_for_answer:
                    raise DeadlineExceededError(
                        f"{self._server}: no answer for {self._timeout:g} s", code=grpc.StatusCode.DEADLINE_EXCEEDED
                    )
        finally:
            reading.cancel()


async def not_closed(method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call; a channel that was closed under it is an error of ours, not a cancellation of its caller."""
    try:
        return await method(*args, **kwargs)
    except asyncio.CancelledError as error:
        if cast("asyncio.Task[Any]", asyncio.current_task()).cancelling():
            raise
        raise closed() from error
    except grpc.aio.UsageError as error:
        raise closed() from error


def _cancel(task: "asyncio.Task[None]", _: object) -> None:
    task.cancel()


def _is_lost(failure: LookalikeError) -> bool:
    """Whether a new stream may mend it.

    When a stream ends while a write is under way, grpc.aio may replace the status by an INTERNAL of its own
    (grpc/grpc#36066). An INTERNAL of ours always has a reason.
    """
    return failure.code is _UNAVAILABLE or (failure.code is grpc.StatusCode.INTERNAL and not failure.reason)
