"""Add limits to uvicorn's protocol for one HTTP/1.1 connection: on the bytes of all but the data, and on every wait.

The parser, llhttp, has no limits: it passes on whatever arrives. `h11` has some, but it takes 2.7 times the time for a
request here, and holds the event loop for half a second when one read brings a body in chunks of one byte. So bytes
are counted before they are parsed.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from lookalike_serving.http1.closing import ClosingTransport
from lookalike_serving.http1.connections import Place
from lookalike_serving.http1.limits import Limits
from lookalike_serving.http1.refusal import refusal

_SLICE: Final = 8 * 1024
"""So many bytes are parsed between two checks of the limits."""
_PIPELINED: Final = 8
"""So many requests may wait on one connection for the answer to an earlier one."""
_FRAMING_PER_BYTE: Final = 8
"""A body in chunks may have so many bytes of framing for a byte of data. One-byte chunks have five."""
_BETWEEN_FIELDS: Final = 4


class _RefusedError(Exception):
    """The parser is left by this exception; the answer is in `_refusal`."""


class BoundedProtocol(HttpToolsProtocol):
    """The protocol serves one connection, which has a place.

    Args:
        place: is released at the connection's end.
        limits: the limits of the connection.
        uvicorn_arguments: uvicorn's own arguments.
    """

    transport: ClosingTransport  # type: ignore[assignment] # it has every method that uvicorn calls

    def __init__(self, place: Place, limits: Limits, **uvicorn_arguments: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(**uvicorn_arguments)
        self.timeout_keep_alive = limits.idle_seconds  # type: ignore[assignment] # a float does
        self._place, self._limits = place, limits
        self._begun = self._in_body = False
        self._head = self._framing = self._body = 0
        self._refusal = self.url = b""
        self._waiting: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Start the timer of the first request."""
        limits = self._limits
        closing = ClosingTransport(transport, limits.linger_seconds, limits.message_seconds)
        super().connection_made(closing)  # type: ignore[arg-type]
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers and release the place."""
        self._stop_waiting()
        self._stop_writing()
        self.transport.lost()
        self._place.leave()
        super().connection_lost(exc)

    def evicted(self) -> None:
        """Close the connection at once: another one needs its place."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse the data in slices, as long as the limits are kept."""
        view = memoryview(data)
        for start in range(0, len(view), _SLICE):
            if self.transport.is_closing():
                return
            piece = view[start : start + _SLICE]
            self._framing += len(piece)
            super().data_received(piece)  # type: ignore[arg-type] # httptools takes any buffer
            if self._framing > self._limits.head_bytes + _FRAMING_PER_BYTE * self._body:
                self._end(self._too_large())
        if self._waiting is None and (self._begun or self._framing > 0):
            self._wait()

    def on_message_begin(self) -> None:
        """Count the requests that wait, and begin a new one."""
        if len(self.pipeline) >= _PIPELINED:
            detail = f"at most {_PIPELINED} requests may wait for the answer to an earlier one"
            self._raise(refusal(HTTPStatus.TOO_MANY_REQUESTS, "TOO_MANY_PIPELINED", detail))
        self._begun, self._head = True, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count a further part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count and keep a header line. Those that come after the body are dropped, as nothing here reads them."""
        if not self._in_body:
            self._count(len(name) + len(value) + _BETWEEN_FIELDS)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start to measure the body: its time, and its bytes of framing."""
        self._place.heard()
        self._stop_waiting()
        self._in_body, self._framing = True, 0
        super().on_headers_complete()
        self.transport.expects_more = True
        if self.parser.should_upgrade():  # to nothing that we speak: the parser reads no further
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Count the bytes of data. The application limits them."""
        self._framing -= len(body)
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the timers of a request that has arrived."""
        self._stop_waiting()
        self._begun = self._in_body = self.transport.expects_more = False
        self._framing = self._body = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Start a timer: the client does not read as fast as we write."""
        self._stop_writing()
        self._writing = self.loop.call_later(self._limits.message_seconds, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Stop the timer: the client has read."""
        self._stop_writing()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that the parser refuses, or that broke a limit."""
        self._end(self._refusal or refusal(HTTPStatus.BAD_REQUEST, "MALFORMED_REQUEST", msg))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Close the connection after an answer that is sent before all of its request has arrived."""

        async def closing(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            async def sending(message: ASGISendEvent) -> None:
                if message["type"] == "http.response.start" and cycle.more_body:
                    cycle.keep_alive = False
                await send(message)

            await app(scope, receive, sending)

        super()._start_asgi_task(cycle, closing)

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > self._limits.head_bytes:
            self._raise(self._too_large())

    def _too_large(self) -> bytes:
        rule = f"may have at most {self._limits.head_bytes:,} bytes"
        if self._in_body:
            detail = f"what is no data of a body in chunks {rule}"
            return refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "FRAMING_TOO_LARGE", detail)
        detail = f"the request line and the header lines {rule} in all"
        if len(self.url) > self._limits.head_bytes // 2:
            return refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "URL_TOO_LONG", detail)
        return refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "HEAD_TOO_LARGE", detail)

    def _raise(self, answer: bytes) -> None:
        self._refusal = answer
        raise _RefusedError

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _end(self, answer: bytes) -> None:
        """Send this answer, unless another one is being sent, and close."""
        if self._answering:
            if self._in_body and not self.pipeline and not self.cycle.response_started:
                self.cycle.disconnected = True  # the application sees the client as gone
                self.cycle.message_event.set()
            else:
                answer = b""
        self.transport.write(answer)
        self.transport.expects_more = True
        self.transport.close()

    def _wait(self) -> None:
        seconds = self._limits.message_seconds
        if self._in_body:  # so that an application with a limit of its own answers first
            seconds += self._limits.linger_seconds
        self._waiting = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        if self.pipeline or (self._answering and not self._in_body):  # the client waits for us
            self._wait()
        elif not self._begun or (self.cycle is not None and not self._in_body):
            self.transport.close()  # the client gets no answer to a request that it has not sent
        else:
            detail = f"the request did not come in {self._limits.message_seconds:g} s"
            self._end(refusal(HTTPStatus.REQUEST_TIMEOUT, "REQUEST_TOO_SLOW", detail))

    def _stop_waiting(self) -> None:
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing.cancel()
            self._writing = None
