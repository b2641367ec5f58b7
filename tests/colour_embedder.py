"""An embedder without a network that sees colours: what is red is like what is red, and unlike what is blue."""

from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import numpy as np

from lookalike_embedder import loading, space
from lookalike_embedder import server as embedder_server
from lookalike_embedder.config import Config
from lookalike_embedder.image import Pixels
from lookalike_embedder.job import Lane
from lookalike_embedder.metrics import Metrics
from lookalike_serving.server import Server


def see(pixels: Sequence[Pixels], _lane: Lane, _pause: Callable[[], None]) -> np.ndarray:
    """Vectors of length 1: the mean red, green and blue, in the first of 512 dimensions."""
    vectors = np.zeros((len(pixels), 512), np.float32)
    vectors[:, :3] = [image.reshape(-1, 3).mean(axis=0) + 1 for image in pixels]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


@asynccontextmanager
async def embedder(config: Config, model: str) -> AsyncIterator[Server]:
    """Such an embedder; those of different models, one letter each, are of different spaces."""
    description = loading.describe(config, space.vgg16(model * 64), "cpu", "colours", 1)
    with ThreadPoolExecutor(1) as worker:
        loaded = loading.Loaded(see, description)
        async with embedder_server.serving(config, loaded, worker, metrics=Metrics()) as server:
            yield server
