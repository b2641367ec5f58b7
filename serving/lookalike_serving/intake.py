"""Bounds the memory of requests while they are received and served, whoever sends them and however slowly.

gRPC takes in a message as soon as we ask for it, and tells us its size when it is complete. So we ask for a few at a
time: messages that have come are there at once, and those who send slowly give way when others wait. What is large
counts until its call has ended.
"""

import asyncio
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import grpc

from lookalike_serving.errors import Context, InvalidMessage, SentSlowly
from lookalike_serving.parsing import Parser

MAX_RECEIVING: Final = 32
"""Messages that are received at once: 512 MiB of the largest. A small one takes 0.1 ms."""
MAX_HELD_BYTES: Final = 512 * 1024 * 1024
"""Bytes of large requests that are served, from which on no further one is received."""
_LARGE: Final = 256 * 1024
"""Bytes from which on a request is large: below, its call costs about as much without it."""
_PATIENCE_SECONDS: Final = 2.0
"""How long a message may take while others wait: 16 MiB at 70 Mbit/s."""


@dataclass(eq=False)
class _Receiving:
    """A message that is received: by which task, since when, and whether it must give way."""

    task: "asyncio.Task[Any] | None"
    began: float
    gives_way: bool = False

    def give_way(self) -> None:
        self.gives_way = True
        if self.task:
            self.task.cancel()


class Intake:
    """Of one server: for methods with one request.

    Attributes:
        held: bytes of large requests that are served.
    """

    def __init__(self) -> None:
        self.held = 0
        self._receiving: dict[_Receiving, None] = {}  # the oldest first
        self._turn = asyncio.Lock()  # held by the first in the queue
        self._received, self._released = asyncio.Event(), asyncio.Event()

    def request(self, context: Context, parser: Parser) -> "Request":
        """A call's request, while the call is served."""
        return Request(self, context, parser)

    async def receive(self, context: Context, parser: Parser) -> bytes:
        """The bytes of a call's request. They are to be released.

        Raises:
            InvalidMessage: none came.
            SentSlowly: it came slowly, and others waited.
        """
        while parser.most_bytes is None and self.held >= MAX_HELD_BYTES:
            self._released.clear()
            await self._released.wait()
        if self._turn.locked() or len(self._receiving) >= MAX_RECEIVING:
            await self._wait()
        data = await self._receive(context)
        if data is grpc.aio.EOF:
            raise InvalidMessage.missing(parser.name)
        if len(data) >= _LARGE:
            self.held += len(data)
        return bytes(data)

    def release(self, size: int) -> None:
        """A request of `size` bytes is served."""
        if size >= _LARGE:
            self.held -= size
            self._released.set()

    async def _receive(self, context: Context) -> Any:  # noqa: ANN401 - bytes, or what gRPC has for the end
        receiving = _Receiving(asyncio.current_task(), time.monotonic())
        self._receiving[receiving] = None
        try:
            return await context.read()
        except asyncio.CancelledError:
            if receiving.gives_way and receiving.task and not receiving.task.uncancel():
                raise SentSlowly from None  # it was we who interrupted, nobody else
            raise
        finally:
            self._receiving.pop(receiving, None)
            self._received.set()

    async def _wait(self) -> None:
        """Wait until fewer are received. Who is slow is made to give way."""
        async with self._turn:
            while len(self._receiving) >= MAX_RECEIVING:
                self._received.clear()
                oldest = next(iter(self._receiving))
                try:
                    async with asyncio.timeout(oldest.began + _PATIENCE_SECONDS - time.monotonic()):
                        await self._received.wait()
                except TimeoutError:
                    del self._receiving[oldest]
                    oldest.give_way()


class Request:
    """One request, as the block that serves it."""

    def __init__(self, intake: Intake, context: Context, parser: Parser) -> None:
        self._intake, self._context, self._parser = intake, context, parser
        self._size = 0

    async def __aenter__(self) -> Any:  # noqa: ANN401 - the method's request
        """Receive it, and parse it. Raises InvalidMessage, SentSlowly."""
        data = await self._intake.receive(self._context, self._parser)
        self._size = len(data)
        try:
            return self._parser(data)
        except InvalidMessage:
            self._intake.release(self._size)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """It is served."""
        self._intake.release(self._size)
