"""Runs the application, until the end of a block."""

import contextlib
from collections.abc import AsyncIterator

from lookalike_gateway.app import application
from lookalike_gateway.config import Config
from lookalike_gateway.metrics import Metrics
from lookalike_serving.http1 import server
from lookalike_serving.listening import address_of, listen
from lookalike_serving.security import factory


@contextlib.asynccontextmanager
async def serving(config: Config, metrics: Metrics | None = None) -> AsyncIterator[str]:
    """Serve from here to the end of the block, and let requests in flight end then. Yields the address, a URL.

    Raises:
        OSError: the port is taken, or the interface is not ours.
        InvalidSecurity: certificates or keys cannot be used.
    """
    certificate = factory.certificate(config.security)
    app = application(config, metrics or Metrics())
    listening = listen(config.host, config.port)
    port = listening.getsockname()[1]
    tls = (lambda *_: certificate.for_asyncio()) if certificate else None
    async with server.serving(
        app, listening, config.limits, grace=config.grace, lifespan="on", ssl_context_factory=tls
    ):
        yield f"http{'s' if certificate else ''}://{address_of(config.host, port)}"
