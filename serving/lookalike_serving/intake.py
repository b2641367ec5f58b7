"""Limit the memory of requests while they are received and served, even if clients send slowly.

gRPC receives a message as soon as we ask for it, and tells us its size when it is complete. So we ask for a few at a
time. A message that has arrived already is returned at once. A slow sender must give way when others wait. A large
request counts until its call has ended.
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
"""This many messages are received at once: 512 MiB of the largest. A small one takes 0.1 ms."""
MAX_HELD_BYTES: Final = 512 * 1024 * 1024
"""While large requests of so many bytes are being served, no further large one is received."""
_LARGE: Final = 256 * 1024
"""A request of so many bytes or more is large. A smaller one costs little beside its call."""
_PATIENCE_SECONDS: Final = 2.0
"""A message may take this long while others wait: 16 MiB at 70 Mbit/s."""


@dataclass(eq=False)
class _Receiving:
    """A message that is being received: by which task, since when, and whether it must give way."""

    task: "asyncio.Task[Any] | None"
    began: float
    gives_way: bool = False

    def give_way(self) -> None:
        self.gives_way = True
        if self.task:
            self.task.cancel()


class Intake:
    """The intake receives the requests of one server, for methods that take one request.

    Attributes:
        held: bytes of the large requests that are being served.
    """

    def __init__(self) -> None:
        self.held = 0
        self._receiving: dict[_Receiving, None] = {}  # the oldest first
        self._turn = asyncio.Lock()  # held by the first in the queue
        self._received, self._released = asyncio.Event(), asyncio.Event()

    def request(self, context: Context, parser: Parser) -> "Request":
        """Return a context manager that receives a call's request, and counts it until the block ends."""
        return Request(self, context, parser)

    async def receive(self, context: Context, parser: Parser) -> bytes:
        """Receive the bytes of a call's request. The caller must release them.

        Raises:
            InvalidMessage: the call ended without a request.
            SentSlowly: the request came slowly while others waited.
        """
        while parser.max_bytes is None and self.held >= MAX_HELD_BYTES:
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
        """Stop counting a request of `size` bytes: its call has ended."""
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
                raise SentSlowly from None  # `give_way` cancelled the task, nobody else did
            raise
        finally:
            self._receiving.pop(receiving, None)
            self._received.set()

    async def _wait(self) -> None:
        """Wait until fewer messages are being received. The oldest one gives way after a time."""
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
    """The context manager holds one request while a block serves it."""

    def __init__(self, intake: Intake, context: Context, parser: Parser) -> None:
        self._intake, self._context, self._parser = intake, context, parser
        self._size = 0

    async def __aenter__(self) -> Any:  # noqa: ANN401 - the method's request
        """Receive the request and parse it. Raises InvalidMessage, SentSlowly."""
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
        """Release the bytes of the request for other requests."""
        self._intake.release(self._size)
