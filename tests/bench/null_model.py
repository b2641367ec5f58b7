"""The whole embedder around a model that computes nothing: `python -m tests.bench.null_model --decode none|real`.

A batch takes 2 ms whatever its size, as a device has latency; with `--decode none` images are not looked at either.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import numpy as np
import uvloop
from numpy.typing import NDArray

from lookalike.signals import until_signalled
from lookalike_embedder import loading, server, space
from lookalike_embedder.config import Config
from lookalike_embedder.image import Info, Pixels
from lookalike_embedder.job import Lane
from lookalike_embedder.metrics import Metrics
from lookalike_embedder.processor import CORES
from lookalike_embedder.space import DIMENSIONS
from lookalike_serving.server import calm_collector
from tests.bench.setting import CACHE_DIR

_BATCH, _BATCH_SECONDS = 64, 0.002
_NO_PIXELS: Pixels = np.zeros((1, 1, 3), np.uint8)


def compute(pixels: Sequence[Pixels], lane: Lane, pause: Callable[[], None]) -> NDArray[np.float32]:
    """The null model; see `batcher.Compute`."""
    time.sleep(_BATCH_SECONDS)
    return np.full((len(pixels), DIMENSIONS), DIMENSIONS**-0.5, np.float32)


def decode_nothing(data: bytes, room: Callable[[int], AbstractContextManager[None]]) -> tuple[Info, Pixels]:
    """No decoding; see `decoder.Decode`."""
    return Info("JPEG", 4, 3, 1), _NO_PIXELS


async def serve(*, decodes: bool, decoding_pixels: int, cached: int) -> None:
    """Serve until signalled."""
    config = Config(
        cache_dir=CACHE_DIR,
        port=0,
        workers=1,
        decode_threads=CORES if decodes else 1,
        max_decoding_pixels=decoding_pixels,
        cache_size=cached,
        max_connection_age=3600,
    )
    loaded = loading.Loaded(compute, loading.describe(config, space.vgg16("0" * 64), "cpu", "null", _BATCH))
    calm_collector()
    with ThreadPoolExecutor(1) as first:
        decode = None if decodes else decode_nothing
        async with server.serving(config, loaded, first, metrics=Metrics(), decode=decode) as ready:
            print(f"null embedder ready on {config.host}:{ready.port}", flush=True)
            await until_signalled()


def main() -> None:
    """Serve until signalled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decode", choices=("none", "real"), required=True)
    parser.add_argument("--decoding-pixels", type=int, default=Config.max_decoding_pixels, help="decoded at once")
    parser.add_argument("--cached", type=int, default=0, help="answers that are kept")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        decodes = options.decode == "real"
        runner.run(serve(decodes=decodes, decoding_pixels=options.decoding_pixels, cached=options.cached))


if __name__ == "__main__":
    main()
