"""How many images the embedder takes in and answers when neither decoding nor the model takes any time."""

import itertools
import os
import statistics
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from lookalike._transport.message_batches import IMAGES
from lookalike.processes import running
from lookalike.v1 import embedder_pb2 as wire
from tests.bench.bulk_load import Load
from tests.bench.figures import Figure
from tests.bench.interleaving import take_turns
from tests.bench.setting import Setting

_IMAGE_BYTES: Final = 50_000
_IMAGES: Final = 1000
_STREAMS: Final = 4
_ROUNDS, _SECONDS = 5, 3.0


async def measure(setting: Setting) -> list[Figure]:
    """The medians of some rounds; the client is another process on the same cores."""
    requests = [wire.EmbedStreamRequest(sequence=number, image=os.urandom(_IMAGE_BYTES)) for number in range(_IMAGES)]
    alone = [request.SerializeToString() for request in requests]
    together = [message.SerializeToString() for message in IMAGES.pack(requests)]
    async with running("tests.bench.null_model", ["--decode", "none"], setting.log) as server:
        parties: dict[str, Callable[[], Awaitable[float]]] = {
            "together": partial(_pace, server.address, together),
            "alone": partial(_pace, server.address, alone),
        }
        paces = await take_turns(parties, _ROUNDS)
    on = (
        f"{_IMAGE_BYTES // 1000} kB each, {_STREAMS} streams of one client on the same cores, median of {_ROUNDS}"
        " rounds ({} to {}), {}; RPC, SHA-256, both queues, batches, answers: all but decoding, the model (a batch"
        " sleeps 2 ms) and the cache; the client does not make messages"
    )

    def figure(name: str, party: str, how: str, least: float | None = None) -> Figure:
        found = paces[party]
        where = on.format(f"{min(found):,.0f}", f"{max(found):,.0f}", how)
        return Figure(name, statistics.median(found), where, least=least)

    packed = f"{len(requests) / len(together):.0f} in a message, as our client sends them"
    return [
        figure("transport_images_per_second", "together", packed, least=5000),
        figure("transport_alone_images_per_second", "alone", "each in a message of its own"),
    ]


async def _pace(address: str, requests: Sequence[bytes]) -> float:
    async with Load(address, itertools.cycle(requests), _STREAMS) as load:
        return await load.pace(_SECONDS, warm_up=1.0)
