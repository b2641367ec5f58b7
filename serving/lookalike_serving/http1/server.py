"""Run uvicorn with our limits for as long as a block lasts."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import uvicorn

from lookalike_serving.http1.acceptor import Acceptor
from lookalike_serving.http1.limits import Limits
from lookalike_serving.http1.protocol import BoundedProtocol


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to its caller, and accepts connections by `Acceptor`."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket, limits: Limits) -> None:
        super().__init__(config)
        self._listening, self._limits = listening, limits

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers as they are."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application and accept connections."""
        await super().startup(sockets=[])
        make = partial(
            BoundedProtocol,
            limits=self._limits,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )
        self.servers = [Acceptor(self._listening, make, self._limits, self.config.ssl)]  # type: ignore[list-item]


@contextlib.asynccontextmanager
async def serving(
    app: Any,  # noqa: ANN401 - any ASGI application
    listening: socket.socket,
    limits: Limits,
    *,
    grace: float,
    **options: Any,  # noqa: ANN401 - uvicorn's
) -> AsyncIterator[None]:
    """Serve the application within the block; afterwards, requests in flight have `grace` seconds to end.

    Args:
        app: the application.
        listening: its socket.
        limits: the limits of each connection.
        grace: seconds for requests in flight at the end of the block.
        options: further options of uvicorn.
    """
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=round(grace),
        **options,
    )
    server = _Server(config, listening, limits)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await running
