"""How connections end, so that the last answer arrives and nobody holds one open."""

import asyncio
from typing import Any


class ClosingTransport:
    """A transport whose end is bounded in time.

    A socket that is closed while its other end still sends is reset, and an answer on its way is lost. So we first say
    that we have said all, and throw away what comes. And a socket whose other end does not read would wait for ever
    until all is sent. Both wait for so many seconds at most.

    Args:
        transport: what it stands for; it has all its other methods.
        linger_seconds: for those who still send.
        flush_seconds: for those who still read.
    """

    def __init__(self, transport: asyncio.Transport, linger_seconds: float, flush_seconds: float) -> None:
        self._transport = transport
        self._linger_seconds, self._flush_seconds = linger_seconds, flush_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._ending = False
        self.expects_more = False
        """Whether the other end has not sent all of a message yet."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        """Whatever is not said here."""
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing is to be read or written any more."""
        return self._ending or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send it, as long as nothing has ended."""
        if not self._ending:
            self._transport.write(data)

    def close(self) -> None:
        """Let what is written go out, then end."""
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
        """It has ended."""
        self._ending = True
        if self._timer:
            self._timer.cancel()

    def _abort_after(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._transport.abort)
