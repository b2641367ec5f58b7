"""Keep streams alive: whatever happens to the connection, every request is answered once.

gRPC retries a stream only until its first answer; afterwards it is the application's turn. Ours may do it, as every
request of our streams can be repeated without harm.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Generic, ParamSpec, TypeVar, cast

import grpc

from lookalike._transport.message_batches import MessageBatches
from lookalike._transport.retry import Backoff, is_transient
from lookalike._transport.window import Sequenced, Window
from lookalike.errors import DeadlineExceededError, UnavailableError, closed, from_rpc

Request = TypeVar("Request", bound=Sequenced)
Response = TypeVar("Response", bound=Sequenced)
T = TypeVar("T")
P = ParamSpec("P")

_UNAVAILABLE: Final = grpc.StatusCode.UNAVAILABLE
_DELIBERATE: Final = ("STREAM_AGED", "SHUTTING_DOWN")
"""Reasons of a server that ends a stream so that the client goes elsewhere: no failure, and nothing to wait for."""


class ResumableStream(Generic[Request, Response]):
    """Sends what a queue holds, and yields one answer for each request, whatever happens to the connection.

    Args:
        open_call: opens the RPC.
        requests: what to send; None is the end, and stays there for the other streams that take from the same queue.
        server: the server's name, for error messages.
        timeout: the most seconds without any answer while there are unanswered requests.
        soon: where streams share a queue, each takes no more than is answered in so many seconds; see `Window`.
        backoff: where streams share it, one does not give up while others get answers.
        batches: how several requests travel in one message; left out, they do not.
    """

    def __init__(
        self,
        open_call: Callable[[], "grpc.aio.StreamStreamCall[Request, Response]"],
        requests: "asyncio.Queue[Request | None]",
        *,
        server: str,
        timeout: float,
        soon: float = math.inf,
        backoff: Backoff | None = None,
        batches: MessageBatches[Request, Response] | None = None,
    ) -> None:
        self._open_call = open_call
        self._requests = requests
        self._server = server
        self._timeout = timeout
        self._unanswered: Window[Request] = Window(soon)
        self._backoff = backoff or Backoff()
        self._batches = batches
        self._max_requests = 0  # in a message, as the server says; 0 before it has, which is as good as 1
        self._ended = False

    async def answers(self) -> AsyncGenerator[Response, None]:
        """Yield answers until the queue has ended and every request is answered.

        Raises:
            UnavailableError: the server stayed away.
            DeadlineExceededError: the server is there but does not answer.
            LookalikeError: the server ended the stream for a reason that a new stream would not mend.
        """
        while await self._has_work():
            progress = False
            try:
                async for responses in self._answers_of_one_call():
                    progress = True
                    self._backoff.progress()
                    held = self._unanswered.answered(*(response.sequence for response in responses))
                    for response in responses:
                        if response.sequence in held:
                            held.remove(response.sequence)
                            yield response
            except grpc.aio.AioRpcError as error:
                failure = from_rpc(error, self._server)
                if not is_transient(failure):
                    raise failure from error
            except DeadlineExceededError as error:
                failure = error
            else:
                failure = UnavailableError(f"{self._server}: ends its streams unanswered", code=_UNAVAILABLE)
            if self._unanswered and not (progress and failure.reason in _DELIBERATE):
                await self._backoff.wait(failure)

    async def _has_work(self) -> bool:
        """Wait for something to send: a server that is not needed is not called."""
        if not self._unanswered and not self._ended:
            self._take(await self._requests.get())
        return bool(self._unanswered)

    def _take(self, request: Request | None) -> None:
        """Note a request from the queue before anything else can happen to it."""
        if request is None:
            self._ended = True
            self._requests.put_nowait(None)
        else:
            self._unanswered.add(request)

    def _take_all(self, request: Request | None) -> list[Request]:
        """Note a request, and those that are ready beside it, as far as there is room and the server takes them."""
        requests: list[Request] = []
        while True:
            self._take(request)
            if request is None:
                return requests
            requests.append(request)
            if len(requests) >= self._max_requests or not self._unanswered.has_room() or self._requests.empty():
                return requests
            request = self._requests.get_nowait()

    async def _answers_of_one_call(self) -> AsyncIterator[Sequence[Response]]:
        """The answers, as they come together. How many requests the server takes together is known with the first."""
        self._max_requests = 0
        try:
            call = self._open_call()
        except grpc.aio.UsageError as error:
            raise closed() from error
        writer = asyncio.create_task(self._write(call))
        call.add_done_callback(partial(_cancel, writer))  # a write under way would hide why the call has ended
        try:
            while (response := await self._read(call)) is not grpc.aio.EOF:
                if self._batches and not self._max_requests:
                    self._max_requests = self._batches.max_requests(await call.initial_metadata())
                yield self._batches.unpack(response) if self._batches else (response,)
        finally:
            writer.cancel()
            call.cancel()

    async def _write(self, call: "grpc.aio.StreamStreamCall[Request, Response]") -> None:
        """Send again what is unanswered, then what the queue holds. Never lets go of a request before its answer."""
        try:
            for unanswered in self._unanswered.requests():
                await call.write(unanswered)
            while not self._ended:
                await self._unanswered.room()
                requests = self._take_all(await self._requests.get())
                for message in self._batches.pack(requests) if self._batches else requests:
                    await call.write(message)
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the call is over; the reader learns why

    async def _read(self, call: "grpc.aio.StreamStreamCall[Request, Response]") -> Any:  # noqa: ANN401 - or EOF
        """The next answer, or the end. Waiting is no failure while there is nothing to answer and more may come."""
        reading = asyncio.ensure_future(call.read())
        try:
            while True:
                waited_for_answer = bool(self._unanswered) or self._ended
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
