"""Puts the searcher together: database, service, server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from lookalike.serving import Draining, Server
from lookalike.signals import until_signalled
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import add_SearcherServiceServicer_to_server
from lookalike.wire import message_limits
from lookalike_searcher import database, postgres
from lookalike_searcher.config import Config
from lookalike_searcher.database import Database
from lookalike_searcher.errors import STATUS
from lookalike_searcher.service import SearcherService

logger = logging.getLogger(__name__)

SERVICE = wire.DESCRIPTOR.services_by_name["SearcherService"].full_name


async def run(config: Config, announce: Callable[[str], None]) -> None:
    """Start or reach PostgreSQL, migrate, serve until signalled, drain, stop.

    Args:
        config: the configuration.
        announce: is told one line, once, when the server is ready; it names the address.
    """
    async with AsyncExitStack() as stack:
        url = config.database_url
        lost: Callable[[], Coroutine[Any, Any, object]] = asyncio.Event().wait  # which never happens
        if url is None:
            embedded = stack.enter_context(postgres.embedded(config.data_dir))  # blocks, but nothing else runs yet
            url, lost = embedded.url, embedded.ended
        pool = await stack.enter_async_context(
            database.connect(url, pool_size=config.pool_size, command_timeout=config.command_timeout)
        )
        server = await stack.enter_async_context(serving(config, pool))
        where = "DATABASE_URL" if config.database_url else f"embedded PostgreSQL in {config.data_dir}"
        announce(f"lookalike-searcher ready on {config.host}:{server.port} ({where})")
        await _until_signalled_or(lost)
        logger.info("signalled; draining for at most %g s", config.grace)


async def _until_signalled_or(lost: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Wait for a signal. Raises UnusableDataDir if the embedded PostgreSQL is lost first: without it we are no use."""
    signalled, losing = asyncio.ensure_future(until_signalled()), asyncio.ensure_future(lost())
    await asyncio.wait({signalled, losing}, return_when=asyncio.FIRST_COMPLETED)
    losing.cancel()
    if not signalled.done():
        signalled.cancel()
        raise postgres.UnusableDataDir("the embedded PostgreSQL has ended; the next start recovers its data")


@asynccontextmanager
async def serving(config: Config, pool: Database) -> AsyncIterator[Server]:
    """A running server over the database; leaving the context drains it."""
    draining = Draining()
    service = SearcherService(pool, draining)
    async with Server(
        SERVICE,
        lambda grpc_server: add_SearcherServiceServicer_to_server(service, grpc_server),
        address=config.address,
        table=STATUS,
        probe=pool.ping,
        draining=draining,
        options=message_limits(),
        probe_interval=config.probe_interval,
        grace=config.grace,
    ) as server:
        yield server
