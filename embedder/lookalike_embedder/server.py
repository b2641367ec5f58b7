"""Put the embedder together: model, engine, service, server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial

from lookalike.constants import MAX_IMAGE_BYTES, connection_age, message_limits
from lookalike.signals import until_signalled
from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import add_EmbedderServiceServicer_to_server
from lookalike_embedder import image
from lookalike_embedder.bounds import Bounds
from lookalike_embedder.config import Config
from lookalike_embedder.decoder import Decode
from lookalike_embedder.engine import Engine
from lookalike_embedder.errors import STATUS, DeviceLost
from lookalike_embedder.loading import Loaded, load_model
from lookalike_embedder.message_limits import LIMITS
from lookalike_embedder.metrics import Metrics
from lookalike_embedder.service import EmbedderService
from lookalike_serving import loop_lag
from lookalike_serving.background import running
from lookalike_serving.listening import address_of
from lookalike_serving.memory import LARGE_BLOCKS, trimmed, tune
from lookalike_serving.security import factory
from lookalike_serving.server import Draining, Server, calm_collector

logger = logging.getLogger(__name__)

SERVICE = wire.DESCRIPTOR.services_by_name["EmbedderService"].full_name


async def run(
    config: Config,
    announce: Callable[[str], None],
    load: Callable[[Config], Loaded] | None = None,
    *,
    scraped: bool = True,
) -> None:
    """Load the model, serve until a signal or the loss of the device, and drain.

    Args:
        config: the configuration.
        announce: is called once, with one line that names the address, when the server is ready.
        load: returns the model; the default loads the real one.
        scraped: whether the metrics can be read over HTTP.

    Raises:
        DeviceLost: the device is lost, and the server has ended. The process must end itself, see `Stuck`.
        Stuck: the server has ended, but some threads have not.
    """
    config.check_ports()
    tune(LARGE_BLOCKS)  # before there are threads
    first = ThreadPoolExecutor(1, "interactive")
    lost = asyncio.Event()
    try:
        loaded = await asyncio.wrap_future(first.submit(load or load_model, config))
        calm_collector()
        metrics = Metrics()
        with _metrics_served(config, metrics) if scraped else nullcontext() as metrics_port:
            async with serving(config, loaded, first, metrics=metrics, lost=lost) as server:
                model = loaded.description
                announce(
                    f"lookalike-embedder ready on {address_of(config.host, server.port)} ({model.space},"
                    f" {model.device}, {model.precision}, {config.workers_on(model.device)} x {model.max_batch_size} at"
                    f" once, metrics on port {metrics_port})"
                )
                await until_signalled(lost)
                reason = "the device is lost" if lost.is_set() else "signalled"
                logger.info("%s; draining for at most %g s", reason, config.grace)
    finally:
        first.shutdown(wait=False)
    if lost.is_set():
        raise DeviceLost


def _metrics_served(config: Config, metrics: Metrics) -> AbstractContextManager[int]:
    from lookalike_serving.metrics_endpoint import metrics_served  # with it comes uvicorn

    return metrics_served(config.metrics_address, metrics.registry)


@asynccontextmanager
async def serving(
    config: Config,
    loaded: Loaded,
    first: Executor,
    *,
    metrics: Metrics,
    decode: Decode | None = None,
    lost: asyncio.Event | None = None,
) -> AsyncIterator[Server]:
    """Serve within the block, and yield the running server; the end of the block drains it.

    Args:
        config: the configuration.
        loaded: the model.
        first: the thread on which the model was loaded; it becomes the interactive worker.
        metrics: counts and measures what is served.
        decode: admission and decoding; the default is the real one.
        lost: is set once the device is lost.
    """
    draining = Draining()
    description = loaded.description
    metrics.describe(space=description.space, device=description.device, precision=description.precision)
    for trial in description.trials:
        metrics.tried(trial.way, trial.seconds, chosen=trial.chosen)
    limits = image.Limits(config.max_image_bytes, config.max_image_pixels)
    async with (
        trimmed(LARGE_BLOCKS),
        running(loop_lag.watch(metrics.loop_lag.observe)),
        Engine(
            loaded.compute,
            decode or partial(image.decode, limits=limits, preprocessing=loaded.preprocessing, jpegs=loaded.jpegs),
            metrics,
            Bounds(config.max_waiting, config.max_in_flight_bytes, config.max_decoding_pixels, config.cache_size),
            first=first,
            bulk_workers=config.workers_on(description.device),
            decode_threads=config.decode_threads,
            max_batch_size=description.max_batch_size,
            text=loaded.text,
            lost=lost,
        ) as engine,
    ):
        service = EmbedderService(
            description,
            engine,
            draining,
            metrics,
            max_streams=config.max_streams,
            max_stream_age=config.max_stream_age,
            # Of the middle of a picture there is no fingerprint of the whole.
            fingerprints=not config.no_fingerprints and loaded.preprocessing.crop is None,
        )
        async with Server(
            SERVICE,
            lambda grpc_server: add_EmbedderServiceServicer_to_server(service, grpc_server),
            address=config.address,
            table=STATUS,
            probe=lambda: engine.probe(config.probe_interval),
            tell=metrics.serving.set,
            draining=draining,
            limits=LIMITS,
            options=[
                *message_limits(max(config.max_image_bytes, MAX_IMAGE_BYTES)),  # admission refuses single images
                *connection_age(config.max_connection_age),
                # For one connection: further calls wait in the client, before their bytes are sent.
                ("grpc.max_concurrent_streams", config.max_waiting + config.max_streams),
            ],
            probe_interval=config.probe_interval,
            grace=config.grace,
            observe=metrics.rpc_ended,
            arrivals=metrics.arrivals,
            guard=factory.guard(config.security),
            certificate=factory.certificate(config.security),
        ) as server:
            yield server
