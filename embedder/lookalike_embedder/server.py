"""Puts the embedder together: weights, model, batcher, service, server."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager

from lookalike.serving import Draining, Server
from lookalike.signals import until_signalled
from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import add_EmbedderServiceServicer_to_server
from lookalike.wire import MAX_IMAGE_BYTES, message_limits
from lookalike_embedder import weights
from lookalike_embedder.batcher import Batcher, Compute
from lookalike_embedder.config import Config
from lookalike_embedder.errors import STATUS
from lookalike_embedder.image import FORMATS
from lookalike_embedder.service import EmbedderService
from lookalike_embedder.space import ARCHITECTURE, DIMENSIONS, space_of

logger = logging.getLogger(__name__)

SERVICE = wire.DESCRIPTOR.services_by_name["EmbedderService"].full_name


async def run(config: Config, announce: Callable[[str], None]) -> None:
    """Load, warm up, serve until signalled, drain.

    Args:
        config: the configuration.
        announce: is told one line, once, when the server is ready; it names the address.
    """
    with _worker() as first:
        compute, description = await asyncio.wrap_future(first.submit(load, config))
        gc.freeze()  # what is loaded stays: the collector need not look at torch again and again
        async with serving(config, compute, description, first) as server:
            at_once = f"{config.workers_on(description.device)} x {description.max_batch_size} at once"
            announce(
                f"lookalike-embedder ready on {config.host}:{server.port} ({description.space}, {description.device},"
                f" {description.precision}, {at_once})"
            )
            await until_signalled()
            logger.info("signalled; draining for at most %g s", config.grace)


def load(config: Config) -> tuple[Compute, wire.GetModelResponse]:
    """The model, warm, and its description.

    Raises:
        weights.WeightsUnavailable: no source has the weights.
    """
    from lookalike_embedder.model import Model

    trunk = weights.resolve(config.weights, config.cache_dir, config.weights_sha256)
    model = Model(trunk.tensors, device=config.device, precision=config.precision)
    batch_size = config.batch_size_on(model.device)
    seconds = model.warm_up(batch_size)
    logger.info("weights from %s; warm: %.0f images/s in batches of %d", trunk.source, batch_size / seconds, batch_size)
    return model, describe(config, trunk.sha256, device=model.device, precision=model.precision)


def describe(config: Config, weights_sha256: str, *, device: str, precision: str) -> wire.GetModelResponse:
    """The answer to GetModel."""
    return wire.GetModelResponse(
        space=space_of(weights_sha256),
        dimensions=DIMENSIONS,
        architecture=ARCHITECTURE,
        weights_sha256=weights_sha256,
        device=device,
        precision=precision,
        max_batch_size=config.batch_size_on(device),
        max_image_bytes=config.max_image_bytes,
        max_image_pixels=config.max_image_pixels,
        formats=FORMATS,
    )


@asynccontextmanager
async def serving(
    config: Config, compute: Compute, description: wire.GetModelResponse, first: Executor
) -> AsyncIterator[Server]:
    """A running server; leaving the context drains it.

    Args:
        config: the configuration.
        compute: the model's forward pass.
        description: the answer to GetModel.
        first: the thread on which the model was loaded; it stays the first worker.
    """
    draining = Draining()
    batch_size = description.max_batch_size
    with ExitStack() as stack:
        others = (stack.enter_context(_worker()) for _ in range(1, config.workers_on(description.device)))
        workers = [first, *others]
        decoders = ThreadPoolExecutor(config.decode_threads, "decode")
        stack.callback(decoders.shutdown, wait=False, cancel_futures=True)  # nobody waits for these images any more
        batcher = Batcher(compute, workers, max_batch_size=batch_size, max_waiting=config.max_waiting)
        service = EmbedderService(
            description,
            batcher,
            decoders,
            draining,
            max_interactive=config.max_waiting,
            window=max(16, 2 * len(workers) * batch_size),
        )
        server = Server(
            SERVICE,
            lambda grpc_server: add_EmbedderServiceServicer_to_server(service, grpc_server),
            address=config.address,
            table=STATUS,
            probe=lambda: batcher.probe(config.probe_interval),
            draining=draining,
            options=message_limits(max(config.max_image_bytes, MAX_IMAGE_BYTES)),  # refusing is admission's, per image
            probe_interval=config.probe_interval,
            grace=config.grace,
        )
        batching = asyncio.create_task(batcher.run())
        try:
            async with server:
                yield server
        finally:
            batching.cancel()


def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "compute")
