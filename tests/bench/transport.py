"""How many images the embedder takes in and answers when neither decoding nor the model takes any time."""

import itertools
import os
import statistics

from lookalike.processes import running
from tests.bench.figures import Figure
from tests.bench.load import Load, messages
from tests.bench.setting import Setting

_IMAGE_BYTES = 50_000
_IMAGES = 1000
_STREAMS = 4
_ROUNDS, _SECONDS = 5, 3.0


async def measure(setting: Setting) -> list[Figure]:
    """The median of some rounds; the client is another process on the same cores."""
    requests = messages(os.urandom(_IMAGE_BYTES) for _ in range(_IMAGES))
    async with (
        running("tests.bench.null", ["--decode", "none"], setting.log) as server,
        Load(server.address, itertools.cycle(requests), _STREAMS) as load,
    ):
        paces = [await load.pace(_SECONDS, warm_up=0.5) for _ in range(_ROUNDS)]
    on = (
        f"{_IMAGE_BYTES // 1000} kB each, {_STREAMS} streams of one client on the same cores, median of {_ROUNDS}"
        f" rounds ({min(paces):,.0f} to {max(paces):,.0f}); RPC, SHA-256, both queues, batches, answers: all but"
        " decoding, the model (a batch sleeps 2 ms) and the cache; the client neither makes nor parses messages"
    )
    return [Figure("transport_images_per_second", statistics.median(paces), on, least=5000)]
