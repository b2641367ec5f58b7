"""Serve Prometheus metrics over HTTP on a port of their own.

This needs `prometheus-client` and `uvicorn`.
"""

import asyncio
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from socket import socket
from typing import Any, Final

from prometheus_client import CollectorRegistry, make_asgi_app

from lookalike_serving.http1.limits import Limits
from lookalike_serving.http1.server import serving
from lookalike_serving.listening import listen

LIMITS: Final = Limits(message_seconds=10, connections=64, connections_per_address=16)
"""Few clients read metrics, and each sends its request in one packet."""


@contextmanager
def metrics_served(address: tuple[str, int], registry: CollectorRegistry, limits: Limits = LIMITS) -> Iterator[int]:
    """Serve the metrics on host and port; port 0 picks a free one. Yields the port.

    A thread of their own serves them, so that they can be read from an overloaded server.
    """
    host, port = address
    listening = listen(host, port, "--metrics-port")
    began: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    work = _serve(_Metrics(registry), listening, limits, began)
    thread = threading.Thread(target=asyncio.run, args=(work,), name="metrics", daemon=True)
    thread.start()
    loop, ended = began.result()
    try:
        yield listening.getsockname()[1]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


async def _serve(
    app: "_Metrics",
    listening: socket,
    limits: Limits,
    began: "Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]",
) -> None:
    ended = asyncio.Event()
    async with serving(app, listening, limits, grace=1, lifespan="off", log_level=logging.WARNING):
        began.set_result((asyncio.get_running_loop(), ended))
        await ended.wait()


class _Metrics:
    """Prometheus's own application, without the headers and queries that are not ASCII, on which it would fail."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._app = make_asgi_app(registry)

    async def __call__(self, scope: dict[str, Any], receive: object, send: object) -> None:
        """Answer one request for metrics."""
        headers = [(name, value) for name, value in scope["headers"] if name.isascii() and value.isascii()]
        query = scope["query_string"] if scope["query_string"].isascii() else b""
        await self._app({**scope, "headers": headers, "query_string": query}, receive, send)
