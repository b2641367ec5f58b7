"""Accept connections, before TLS or HTTP begin, and refuse those above the limit."""

import asyncio
import contextlib
import logging
import resource
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final

from lookalike_serving.http1.connections import Connections, Place
from lookalike_serving.http1.limits import Limits
from lookalike_serving.http1.protocol import BoundedProtocol
from lookalike_serving.http1.refusal import refusal

logger = logging.getLogger(__name__)

_PAUSE: Final = 0.1
_TELL_SECONDS: Final = 10.0
_TOO_MANY: Final = refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", "there are as many connections as there may be"
)

ProtocolFactory = Callable[[Place], BoundedProtocol]


class Acceptor:
    """The acceptor accepts connections on a listening socket until it is closed.

    It replaces uvicorn's `asyncio.Server`.

    Args:
        listening: the socket.
        make: returns the protocol of a connection that has this place.
        limits: how many connections there may be, and how long a TLS handshake may take.
        certificate: the context for TLS; None: connections are not encrypted.
    """

    def __init__(
        self, listening: socket.socket, make: ProtocolFactory, limits: Limits, certificate: ssl.SSLContext | None
    ) -> None:
        self._listening, self._make, self._limits, self._certificate = listening, make, limits, certificate
        self._connections = Connections(_most(limits.connections), limits.connections_per_address)
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._refused, self._warned_at = 0, -_TELL_SECONDS
        listening.setblocking(False)
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Stop accepting connections, and cancel those that are still being set up."""
        self._accepting.cancel()
        for task in self._connecting:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until nothing is accepted or set up any more."""
        await asyncio.wait([self._accepting, *self._connecting])

    async def _accept(self) -> None:
        while True:
            try:
                accepted, address = await self._loop.sock_accept(self._listening)
            except OSError as error:  # the client has gone already, or the process has no file descriptor left
                logger.warning("a connection could not be accepted: %s", error)
                await asyncio.sleep(_PAUSE)
                continue
            self._receive(accepted, address[0])

    def _receive(self, accepted: socket.socket, host: str) -> None:
        task: asyncio.Task[None] | None = None

        def evict() -> None:
            if task and not task.done():
                task.cancel()
            else:
                protocol.evicted()

        place = self._connections.enter(host, evict)
        if place is None:
            self._refuse(accepted)
            return
        protocol = self._make(place)
        task = self._loop.create_task(self._connect(accepted, protocol))
        self._connecting.add(task)
        task.add_done_callback(partial(self._connected, accepted, place))

    async def _connect(self, accepted: socket.socket, protocol: BoundedProtocol) -> None:
        """Hand the connection to its protocol; with TLS, after the handshake."""
        seconds = self._limits.message_seconds if self._certificate else None
        await self._loop.connect_accepted_socket(
            lambda: protocol, accepted, ssl=self._certificate, ssl_handshake_timeout=seconds
        )

    def _connected(self, accepted: socket.socket, place: Place, task: "asyncio.Task[None]") -> None:
        """Release the place and the socket if the connection was not set up."""
        self._connecting.discard(task)
        error = None if task.cancelled() else task.exception()
        if error:
            logger.debug("no connection came of it: %r", error)
        if error or task.cancelled():
            place.leave()
            accepted.close()

    def _refuse(self, accepted: socket.socket) -> None:
        """Close a connection at once, after an answer if there is no TLS."""
        with contextlib.suppress(OSError), accepted:
            accepted.setblocking(False)
            if self._certificate is None:
                accepted.send(_TOO_MANY)
                accepted.shutdown(socket.SHUT_WR)
        self._refused += 1
        if (now := time.monotonic()) - self._warned_at >= _TELL_SECONDS:
            logger.warning("refused %d connections: there were %d already", self._refused, len(self._connections))
            self._refused, self._warned_at = 0, now


def _most(connections: int) -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections if files == resource.RLIM_INFINITY else min(connections, files * 3 // 4)
