"""Send one queue of requests over several streams, and so over several servers.

    requests ─┬─ stream ─┬─ answers
              ├─ stream ─┤
              └─ stream ─┘

A stream stays on the server where it was opened. Each takes from the queue what it gets answered soon, so a fast server
gets more; each ends by itself after a while and is opened again, maybe on a server that has come since.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from lookalike._transport.message_batches import MessageBatches
from lookalike._transport.retry import Backoff
from lookalike._transport.stream import ResumableStream
from lookalike._transport.window import SOON_SECONDS, Sequenced

if TYPE_CHECKING:
    import grpc

Request = TypeVar("Request", bound=Sequenced)
Response = TypeVar("Response", bound=Sequenced)


class StreamPool(Generic[Request, Response]):
    """Sends what a queue holds over several streams, and yields one answer for each request.

    Args:
        open_call: opens the RPC.
        requests: what to send; None is the end.
        streams: the most streams at once; none is opened before there is something for it to send.
        server: the server's name, for error messages.
        timeout: the most seconds that one stream alone would be without any answer while it has unanswered requests.
            Each of several gets as many times that, as they share the way to the servers: large images on a slow
            line arrive no sooner than they would one after the other.
        batches: how several requests travel in one message; left out, they do not.
    """

    def __init__(
        self,
        open_call: Callable[[], "grpc.aio.StreamStreamCall[Request, Response]"],
        requests: "asyncio.Queue[Request | None]",
        *,
        streams: int,
        server: str,
        timeout: float,
        batches: MessageBatches[Request, Response] | None = None,
    ) -> None:
        backoff = Backoff()
        self._streams = [
            ResumableStream(
                open_call,
                requests,
                server=server,
                timeout=timeout * streams,
                soon=SOON_SECONDS,
                backoff=backoff,
                batches=batches,
            )
            for _ in range(streams)
        ]
        self._answers: asyncio.Queue[Response | None] = asyncio.Queue()
        self._answered = asyncio.Event()

    async def answers(self) -> AsyncGenerator[Response, None]:
        """Yield answers until the queue has ended and every request is answered.

        Raises:
            LookalikeError: one of the streams cannot go on; see `ResumableStream`.
        """
        running = asyncio.create_task(self._run())
        running.add_done_callback(lambda _: self._answers.put_nowait(None))
        try:
            while (answer := await self._answers.get()) is not None:
                yield answer
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _run(self) -> None:
        first, *others = self._streams
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._run_first(first))
                for stream in others:
                    group.create_task(self._run_other(stream))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures.exceptions[0].__cause__

    async def _run_first(self, stream: ResumableStream[Request, Response]) -> None:
        await self._pass_on(stream)
        self._answered.set()  # also if there was nothing to answer

    async def _run_other(self, stream: ResumableStream[Request, Response]) -> None:
        """Begin when there is an answer: by then the channel is connected to all servers.

        Streams that are opened at once go all to the server that was connected first, and stay there.
        """
        await self._answered.wait()
        await self._pass_on(stream)

    async def _pass_on(self, stream: ResumableStream[Request, Response]) -> None:
        async for answer in stream.answers():
            self._answered.set()
            self._answers.put_nowait(answer)
