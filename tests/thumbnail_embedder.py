"""An embedder as a process whose vectors are thumbnails: quick, and telling.

`python -m tests.thumbnail_embedder --port 0` starts it.

It has the real embedder's flags, and all of it but the model.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence

import numpy as np
import typer
from numpy.typing import NDArray

from lookalike.signals import cancelled_when_terminated
from lookalike_embedder import loading, server, space
from lookalike_embedder.config import Config
from lookalike_embedder.image import Pixels
from lookalike_embedder.job import Lane
from lookalike_serving.options import configured

SIDE = 16


def shrink(pixels: Sequence[Pixels], _lane: Lane, _pause: Callable[[], None]) -> NDArray[np.float32]:
    """Return vectors of length 1: the first 512 numbers of each image's thumbnail, which no other image has."""
    vectors = np.stack([_thumbnail(image).ravel()[:512] for image in pixels]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _thumbnail(image: Pixels) -> NDArray[np.float64]:
    height, width, _ = image.shape
    cells = image.reshape(SIDE, height // SIDE, SIDE, width // SIDE, 3)
    return np.asarray(cells.mean(axis=(1, 3)) + 1)


def load(config: Config) -> loading.Loaded:
    """Load no model."""
    return loading.Loaded(shrink, loading.describe(config, space.vgg16("7" * 64), "cpu", "thumbnails", 8))


def announce(line: str) -> None:
    """Say that it is ready."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


app = typer.Typer(add_completion=False)


@app.command()
@configured(Config, "LOOKALIKE_EMBEDDER_")
def serve(_: typer.Context, config: Config) -> None:
    """Serve until signalled."""
    asyncio.run(cancelled_when_terminated(server.run(config, announce, load)))


if __name__ == "__main__":
    app()
