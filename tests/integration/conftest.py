"""Real servers in this process, on free ports, over a real database. The real model is there for those who test it."""

import math
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import platformdirs
import pytest

from lookalike import Client
from lookalike_embedder import loading, space, weights
from lookalike_embedder import server as embedder_server
from lookalike_embedder.batcher import Compute
from lookalike_embedder.config import Config as EmbedderConfig
from lookalike_embedder.image import Pixels
from lookalike_embedder.job import Lane
from lookalike_embedder.metrics import Metrics
from lookalike_embedder.projection import shipped
from lookalike_searcher import server as searcher_server
from lookalike_searcher.config import Config as SearcherConfig
from lookalike_searcher.database import pool as database_module
from lookalike_searcher.database import postgres
from lookalike_searcher.database.connection import connected
from lookalike_searcher.database.pool import Database
from lookalike_searcher.indexes import curve
from lookalike_serving.server import Server
from tests import thumbnail_embedder
from tests.data_dir import initialised
from tests.lock_holder import LockHolder

if TYPE_CHECKING:
    from lookalike_embedder.model import CpuModel, CudaModel


@pytest.fixture(scope="session", autouse=True)
def indexes_are_walked() -> Iterator[None]:
    """Also those of the tests' projects, which are so small that an exact ranking may be as fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curve, "HYSTERESIS", math.inf)
        yield


@pytest.fixture(scope="session")
def embedder_config() -> EmbedderConfig:
    return EmbedderConfig(cache_dir=platformdirs.user_cache_path("lookalike"), port=0, grace=10)


@pytest.fixture(scope="session")
def trunk(embedder_config: EmbedderConfig) -> weights.Weights:
    """The real weights."""
    return weights.resolve(None, embedder_config.cache_dir)


@pytest.fixture(scope="session")
def first_worker() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as worker:
        yield worker


@pytest.fixture(scope="session")
def model(trunk: weights.Weights, first_worker: ThreadPoolExecutor) -> "CpuModel | CudaModel":
    """The real model, on the device and in the precision that this machine is served with."""
    from lookalike_embedder.model import load  # torch is imported by those alone who need it: it takes seconds

    return first_worker.submit(partial(load, trunk.tensors, projection=shipped())).result()


@asynccontextmanager
async def serving(config: EmbedderConfig, compute: Compute, name: str) -> AsyncIterator[Server]:
    """An embedder around a model that is none."""
    description = loading.describe(config, space.vgg16(sha256(name.encode()).hexdigest()), "cpu", name, 1)
    with ThreadPoolExecutor(1) as worker:
        loaded = loading.Loaded(compute, description)
        async with embedder_server.serving(config, loaded, worker, metrics=Metrics()) as server:
            yield server


@pytest.fixture(scope="session")
async def embedder(embedder_config: EmbedderConfig, searcher: Server) -> AsyncIterator[Server]:
    """An embedder whose vectors are thumbnails; after the searcher, see `client`."""
    async with serving(embedder_config, thumbnail_embedder.shrink, "thumbnails") as server:
        yield server


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DATABASE_URL where it is set, so that the tests can be pointed at any cluster; else an embedded PostgreSQL."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
    else:
        with postgres.embedded(initialised(tmp_path_factory.mktemp("data"))) as embedded:
            yield embedded.url


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    async with database_module.connect(database_url, pool_size=5, command_timeout=30) as database:
        yield database


@pytest.fixture
async def lock_holder(database_url: str) -> AsyncIterator[LockHolder]:
    async with connected(database_url) as connection:
        yield LockHolder(connection)


@pytest.fixture(scope="session")
async def searcher(database: Database) -> AsyncIterator[Server]:
    # maintenance is what single tests do, each with thresholds of its own
    config = SearcherConfig(data_dir=Path("unused"), port=0, grace=10, maintenance_interval=3600, recall_sample=0)
    async with searcher_server.serving(config, database) as server:
        yield server


def address(server: Server) -> str:
    return f"127.0.0.1:{server.port}"


@pytest.fixture(scope="session")
async def client(searcher: Server, embedder: Server) -> AsyncIterator[Client]:
    # the searcher first: its PostgreSQL is forked, which is not safe once gRPC's threads are at work
    async with Client(address(embedder), address(searcher)) as client:
        yield client


def null_model(pixels: Sequence[Pixels], _lane: Lane, _pause: Callable[[], None]) -> np.ndarray:
    """Vectors of length 1 without a network: for what is not about vectors."""
    return np.full((len(pixels), 512), 512**-0.5, np.float32)


@pytest.fixture(scope="session")
async def quick_embedder(embedder_config: EmbedderConfig, searcher: Server) -> AsyncIterator[Server]:
    """An embedder with a null model; after the searcher, see `client`."""
    async with serving(embedder_config, null_model, "null") as server:
        yield server


@pytest.fixture(scope="session")
async def quick_client(quick_embedder: Server, searcher: Server) -> AsyncIterator[Client]:
    """A client of an embedder with a null model."""
    async with Client(address(quick_embedder), address(searcher)) as client:
        yield client


@pytest.fixture(scope="session")
async def embedder_channel(embedder: Server) -> AsyncIterator[grpc.aio.Channel]:
    """A bare channel, for what another language's client would send."""
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(address(embedder), options=options) as channel:
        yield channel


@pytest.fixture(scope="session")
async def searcher_channel(searcher: Server) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(address(searcher), options=options) as channel:
        yield channel


@pytest.fixture
async def project(client: Client) -> AsyncIterator[str]:
    """An empty project of its own."""
    async with _project(client) as name:
        yield name


@pytest.fixture
async def quick_project(quick_client: Client) -> AsyncIterator[str]:
    """The same, in the space of the quick client."""
    async with _project(quick_client) as name:
        yield name


@asynccontextmanager
async def _project(client: Client) -> AsyncIterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    await client.create_project(name)
    yield name
    await client.delete_project(name)
