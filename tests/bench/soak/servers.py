"""The servers under load, kept running as a supervisor would, and the catalogue that is searched."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lookalike import Client, IndexState
from lookalike.constants import DEFAULT_DIMENSIONS
from tests.bench.dataset import Dataset
from tests.bench.gateway import Gateway, gateway
from tests.bench.searcher_process import connected, index
from tests.bench.soak.plan import PROJECT
from tests.bench.synthetic_vectors import Vectors, normalised
from tests.polling import until
from tests.supervisor import SupervisedProcess

_CENTRES: Final = 200
_SPREAD: Final = 0.5
QUERIES: Final = 500


@dataclass(frozen=True)
class Site:
    """One embedder, one searcher with its PostgreSQL in `data`, one gateway."""

    data: Path
    embedder: SupervisedProcess
    searcher: SupervisedProcess
    gateway: Gateway

    @property
    def client(self) -> Client:
        """The library's, to be entered."""
        return Client(self.embedder.address, self.searcher.address)


@asynccontextmanager
async def site(folder: Path, logs: Path) -> AsyncIterator[Site]:
    """Servers with default settings on free ports, which go with the block."""
    data, metrics = folder / "data", ("--metrics-port", "0")
    searcher = SupervisedProcess(
        "lookalike_searcher", *metrics, "--data-dir", str(data), "--database-url", "", log=logs / "searcher.log"
    )
    embedder = SupervisedProcess("lookalike_embedder", *metrics, log=logs / "embedder.log")
    async with AsyncExitStack() as stack:
        for server in (searcher, embedder):
            keeping = asyncio.create_task(server.keep())
            stack.push_async_callback(asyncio.wait, [keeping])
            stack.callback(keeping.cancel)
            await until(server.is_up)
        log = stack.enter_context((logs / "gateway.log").open("wb"))
        served = await stack.enter_async_context(gateway(embedder.address, searcher.address, log))
        yield Site(data, embedder, searcher, served)


async def fill(here: Site, images: int) -> tuple[str, Vectors]:
    """Store vectors about random centres, as likeness does not matter here; wait for their index.

    Returns:
        The space, and other such vectors to search for.
    """
    async with here.client as client, connected(here.searcher.address) as stub:
        space = (await client.model()).space
        await client.create_project(PROJECT, space=space)
        rng = np.random.default_rng(0)
        near = rng.integers(0, _CENTRES, images + QUERIES)
        noise = rng.standard_normal((images + QUERIES, DEFAULT_DIMENSIONS), dtype=np.float32)
        centres = rng.standard_normal((_CENTRES, DEFAULT_DIMENSIONS), dtype=np.float32)
        vectors = normalised(np.maximum(centres[near] + np.float32(_SPREAD) * noise, 0))
        dataset = Dataset.of(vectors[:images], near[:images], space, rng)
        await index(stub, dataset.requests(PROJECT, range(images)))

        async def is_settled() -> bool:
            [found] = (await client.get_project(PROJECT)).spaces
            await asyncio.sleep(0.25)
            return found.index.state in (IndexState.READY, IndexState.NONE)

        await until(is_settled)
    return space, vectors[images:]
