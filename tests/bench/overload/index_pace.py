"""How quickly images are stored beside searches: as many as the searcher can answer, and several times as many."""

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Final

from lookalike.v1 import searcher_pb2 as wire
from tests.bench.dataset import Dataset
from tests.bench.figures import Figure
from tests.bench.overload.load import Load
from tests.bench.searcher_process import Site
from tests.bench.searches import PROJECT

_MESSAGE: Final = 32
"""Images of a message: few, so that a turn of some seconds sees many acknowledgements."""
_MOST_PER_SECOND: Final = 1_500
_SETTLES: Final = 300.0
"""Seconds that an index may take to be built after a turn, on a busy machine."""
TURNS: Final = (1, 2, 2, 1)
"""1: beside searches at capacity, 2: beside more. The order cancels what the project's growth costs."""


def images_for(seconds: float) -> int:
    """How many images all turns may store."""
    return len(TURNS) * _images_of_turn(seconds)


async def index_pace(
    here: Site, load: Load, dataset: Dataset, stored: int, capacity: float, factor: float
) -> tuple[list[Figure], float]:
    """Take turns; the figures, and how late the generator was.

    Args:
        here: the searcher, with the catalogue.
        load: the searches.
        dataset: what is stored, and what is to be.
        stored: how many of it are.
        capacity: searches a second.
        factor: how many times as many an overload is.
    """
    paces: dict[int, list[float]] = {turn: [] for turn in TURNS}
    goodputs: dict[int, list[float]] = {turn: [] for turn in TURNS}
    late_ms = 0.0
    share = _images_of_turn(load.plan.deadline + load.plan.seconds)
    for number, turn in enumerate(TURNS):
        times = factor if turn == 2 else 1.0
        first = stored + number * share
        requests = list(_messages(dataset, range(first, min(first + share, len(dataset)))))
        async with load.at(capacity * times) as phase:
            sending = asyncio.create_task(_pace(here, requests, phase.counted))
            await phase.sent()
            paces[turn].append(await sending)
            tally = (await phase.tally()).tell(f"search beside IndexImages, {times:g} times the capacity")
            goodputs[turn].append(tally.per_second / capacity)
            late_ms = max(late_ms, tally.late_ms)
        print(f"IndexImages beside them: {paces[turn][-1]:,.0f} images/s")
        async with asyncio.timeout(_SETTLES):
            await here.ready(PROJECT)
    calm, loud = (statistics.mean(paces[turn]) for turn in (1, 2))
    on = f"{loud:,.0f} over {calm:,.0f} images/s, in messages of {_MESSAGE}, in turns {TURNS}"
    return [
        Figure("index_pace_under_overload", loud / calm if calm else None, on, least=0.5),
        Figure("search_goodput_beside_index", statistics.mean(goodputs[2]), "of these searches, over their capacity"),
    ], late_ms


def _images_of_turn(seconds: float) -> int:
    return int(_MOST_PER_SECOND * seconds) // _MESSAGE * _MESSAGE


def _messages(dataset: Dataset, rows: range) -> Iterator[wire.IndexImagesRequest]:
    for number, start in enumerate(range(rows.start, rows.stop, _MESSAGE)):
        [request] = dataset.requests(PROJECT, range(start, min(start + _MESSAGE, rows.stop)))
        request.sequence = number
        yield request


async def _pace(here: Site, requests: Sequence[wire.IndexImagesRequest], counted: tuple[float, float]) -> float:
    """Images acknowledged each second, between these times, or until there are no more; the stream begins before."""
    began, end = counted
    images, last = 0, end
    call = here.stub.IndexImages(iter(requests))
    try:
        async with asyncio.timeout(end - time.monotonic()):
            async for answer in call:
                if time.monotonic() >= began:
                    images += sum(result.HasField("indexed") for result in answer.entries.results)
            last = max(time.monotonic(), began + 1)
    except TimeoutError:
        pass
    finally:
        call.cancel()
    return images / (last - began)
