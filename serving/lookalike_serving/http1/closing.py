"""End connections in such a way that the last answer arrives, and in bounded time."""

import asyncio
from typing import Any


class ClosingTransport:
    """The transport has an end that is limited in time.

    If a socket is closed while the client still sends, it is reset, and an answer on its way is lost. So this transport
    first sends its end of stream, and then discards what still arrives. If the client does not read, a socket would
    wait without end until all is sent. Both waits are limited.

    Args:
        transport: the transport that is wrapped; its other methods are available here, too.
        linger_seconds: how long to wait for a client that still sends.
        flush_seconds: how long to wait for a client that still reads.
    """

    def __init__(self, transport: asyncio.Transport, linger_seconds: float, flush_seconds: float) -> None:
        self._transport = transport
        self._linger_seconds, self._flush_seconds = linger_seconds, flush_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._ending = False
        self.expects_more = False
        """Whether the client has not sent all of a message yet."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        """Look up all other attributes on the wrapped transport."""
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Return whether nothing is read or written any more."""
        return self._ending or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Write the data, unless the transport is closing."""
        if not self._ending:
            self._transport.write(data)

    def close(self) -> None:
        """Send what was written, then close. Both happen in bounded time."""
        if self._ending:
            return
        self._ending = True
        if not self.expects_more:
            self._transport.close()
            self._abort_after(self._flush_seconds)
            return
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._abort_after(self._linger_seconds)

    def lost(self) -> None:
        """Note that the connection is lost, and cancel its timer."""
        self._ending = True
        if self._timer:
            self._timer.cancel()

    def _abort_after(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._transport.abort)
