"""Runs the application under uvicorn, until the end of a block."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lookalike.http.app import application
from lookalike.http.config import Config
from lookalike.security import gate


class _Protocol(HttpToolsProtocol):
    """Closes connections on which no whole head of a request comes in time, as on those that only hold a place."""

    seconds = 0.0
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait."""
        super().connection_made(transport)
        self.on_message_begin()

    def on_message_begin(self) -> None:
        """Begin to wait anew: a further request on this connection."""
        self._stop_waiting()
        self._waiting = self.loop.call_later(self.seconds, self.transport.close)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It came."""
        self._stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._waiting:
            self._waiting.cancel()


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


@contextlib.asynccontextmanager
async def serving(config: Config) -> AsyncIterator[str]:
    """Serve from here to the end of the block, and let requests in flight end then. Yields the address, a URL.

    Raises:
        OSError: the port is taken, or the interface is not ours.
        InvalidSecurity: certificates or keys cannot be used.
    """
    certificate = gate.certificate(config.security)
    app = application(config)
    listening = _listen(config.host, config.port)
    server = _Server(
        uvicorn.Config(
            app,
            http=type("Protocol", (_Protocol,), {"seconds": config.body_timeout}),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=round(config.grace),
            ssl_context_factory=(lambda *_: certificate.for_asyncio()) if certificate else None,
        )
    )
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        host = f"[{config.host}]" if ":" in config.host else config.host
        yield f"http{'s' if certificate else ''}://{host}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket: whoever connects from now on waits until we are there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)
