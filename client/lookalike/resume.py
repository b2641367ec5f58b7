"""A bidirectional stream that survives a lost server: it is opened again, and what is unanswered is sent again.

gRPC retries a stream only until the first answer; afterwards it is the application's turn. Ours may do it, as every
request of our streams can be repeated without harm.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Generic, Protocol, TypeVar

import grpc

from lookalike.errors import DeadlineExceededError, UnavailableError, from_rpc


class _Sequenced(Protocol):
    @property
    def sequence(self) -> int: ...


Request = TypeVar("Request", bound=_Sequenced)
Response = TypeVar("Response", bound=_Sequenced)

MAX_ATTEMPTS: Final = 8
"""Attempts without a single answer, after which the server counts as gone: about half a minute in all."""
_UNAVAILABLE: Final = grpc.StatusCode.UNAVAILABLE
_FIRST_DELAY_SECONDS: Final = 0.2
_MAX_DELAY_SECONDS: Final = 8.0


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
        attempt = 0
        while await self._has_work():
            try:
                async for response in self._answers_of_one_call():
                    attempt = 0
                    if self._unanswered.pop(response.sequence, None) is not None:
                        yield response
            except grpc.aio.AioRpcError as error:
                failure = from_rpc(error, self._server)
                if error.code() is not _UNAVAILABLE:
                    raise failure from error
            else:
                if not self._unanswered:
                    continue
                failure = UnavailableError(f"{self._server}: ends its streams unanswered", code=_UNAVAILABLE)
            attempt += 1
            if attempt >= MAX_ATTEMPTS:
                raise failure
            await asyncio.sleep(_delay(attempt))

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
                    return reading.result()
                if waited_for_answer:
                    raise DeadlineExceededError(
                        f"{self._server}: no answer for {self._timeout:g} s", code=grpc.StatusCode.DEADLINE_EXCEEDED
                    )
        finally:
            reading.cancel()


def _delay(attempt: int) -> float:
    """Seconds before an attempt: exponential, with jitter, so that many clients do not come back as one."""
    delay = min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** (attempt - 1))
    return delay * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret about it
