"""Throughput: the bare forward loop, the embedder through its RPC, and LitServe, taking turns."""

import statistics
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from functools import partial

import grpc

from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub
from tests.bench import bare_model, litserve_processes
from tests.bench.bulk_load import Load
from tests.bench.figures import Figure
from tests.bench.interleaving import Paces, ratio, take_turns
from tests.bench.setting import Setting, load_model

_STREAMS = 2
_OURS, _BARE, _DEFAULT, _TUNED = "embedder", "bare loop", "LitServe default", "LitServe tuned"

Turn = Callable[[], Awaitable[float]]


async def measure(setting: Setting, parts: Collection[str]) -> list[Figure]:
    """Run the rounds with the parties that the wanted parts need: `serving`, `litserve`."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(setting.embedder())
        served = await _served(ours.address)
        parties: dict[str, Turn] = {_OURS: partial(_through_rpc, setting, ours.address)}
        notes = {_OURS: f"{len(setting.jpegs)} JPEGs over {_STREAMS} streams; {ours.description}"}
        if "serving" in parts:
            parties[_BARE], notes[_BARE] = _bare_loop(setting, served)
        if "litserve" in parts:
            best = await litserve_processes.best_tunings(served.device, served.precision, setting)
            for name, arguments in (
                (_DEFAULT, litserve_processes.DEFAULT),
                *zip((_TUNED, f"{_TUNED} otherwise"), best, strict=False),
            ):
                rival = await stack.enter_async_context(litserve_processes.serving(arguments, setting.log))
                parties[name] = partial(rival.pace, setting.jpegs, setting.seconds, device=served.device)
                notes[name] = f"{served.device}, {' '.join(arguments)}"
        return _figures(await take_turns(parties, setting.rounds), notes)


async def _served(address: str) -> wire.GetModelResponse:
    async with grpc.aio.insecure_channel(address) as channel:
        answer: wire.GetModelResponse = await EmbedderServiceStub(channel).GetModel(wire.GetModelRequest())
        return answer


async def _through_rpc(setting: Setting, address: str) -> float:
    async with Load(address, setting.endless(), _STREAMS) as load:
        return await load.pace(setting.seconds)


def _bare_loop(setting: Setting, served: wire.GetModelResponse) -> tuple[Turn, str]:
    loaded = load_model(served.device, served.precision)
    size = bare_model.best_size(loaded)

    async def turn() -> float:
        return bare_model.pace(loaded, size, setting.seconds)

    return turn, f"{served.device}, {served.precision}, ready tensors in batches of {size}, its best"


def _figures(paces: Paces, notes: dict[str, str]) -> list[Figure]:
    on = f"median of {len(paces[_OURS])} rounds in turns; steady state, clocked from answer to answer"
    found = []
    if _BARE in paces:
        found.append(Figure("serving_efficiency", ratio(paces, _OURS, _BARE), f"over the bare loop, {on}", least=0.95))
    if _DEFAULT in paces:
        usual = f"over LitServe as its users write it (fp32, torchvision, Pillow, its defaults), {on}"
        found.append(Figure("vs_litserve_default", ratio(paces, _OURS, _DEFAULT), usual, least=2.5))
        tuned = f"over LitServe with our decoding, model and precision, the better of two settings, {on}"
        found.append(
            Figure("vs_litserve_tuned", _over_best(paces, [p for p in paces if _TUNED in p]), tuned, least=1.05)
        )
    for party, values in paces.items():
        name = f"{party.lower().replace(' ', '_')}_images_per_second"
        found.append(Figure(name, statistics.median(values), notes[party]))
    return found


def _over_best(paces: Paces, others: Sequence[str]) -> float:
    """Our pace over that of the fastest of some parties."""
    return min(ratio(paces, _OURS, other) for other in others)
