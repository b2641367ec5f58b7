"""An embedder as a process whose vectors are thumbnails: quick, and telling: `python -m tests.thumbnails --port 0`."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.signals import until_signalled
from lookalike_embedder import server
from lookalike_embedder.config import Config
from lookalike_embedder.image import Pixels
from lookalike_embedder.job import Lane
from lookalike_embedder.metrics import Metrics

SIDE = 16


def shrink(pixels: Sequence[Pixels], _lane: Lane, _pause: Callable[[], None]) -> NDArray[np.float32]:
    """Vectors of length 1: the first 512 numbers of each image's thumbnail, which no other image has."""
    vectors = np.stack([_thumbnail(image).ravel()[:512] for image in pixels]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _thumbnail(image: Pixels) -> NDArray[np.float64]:
    height, width, _ = image.shape
    cells = image.reshape(SIDE, height // SIDE, SIDE, width // SIDE, 3)
    return np.asarray(cells.mean(axis=(1, 3)) + 1)


async def serve(port: int) -> None:
    """Serve until signalled."""
    config = Config(cache_dir=Path("unused"), port=port, metrics_port=0, workers=1, decode_threads=1, grace=2)
    loaded = server.Loaded(shrink, server.describe(config, "7" * 64, (), "cpu", "thumbnails", 8))
    with ThreadPoolExecutor(1) as worker:
        async with server.serving(config, loaded, worker, metrics=Metrics()) as ready:
            sys.stdout.write(f"embedder ready on {config.host}:{ready.port}\n")
            sys.stdout.flush()
            await until_signalled()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
