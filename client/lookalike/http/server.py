"""Runs the application under uvicorn, until the end of a block."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn

from lookalike.http.app import application
from lookalike.http.config import Config


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
    """
    listening = _listen(config.host, config.port)
    server = _Server(
        uvicorn.Config(
            application(config),
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=round(config.grace),
        )
    )
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        host = f"[{config.host}]" if ":" in config.host else config.host
        yield f"http://{host}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket: whoever connects from now on waits until we are there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)
