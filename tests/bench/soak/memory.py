"""How the servers' memory grows: a sample a second, and a robust line through what a process held after its start."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
import psutil

from tests.bench.soak.servers import Site
from tests.supervisor import postmaster

_MEGABYTE: Final = 1_000_000
_SAMPLE_SECONDS: Final = 1.0


class Sample(NamedTuple):
    """What a process held, in MB, at a monotonic time."""

    pid: int
    at: float
    megabytes: float


class Segment(NamedTuple):
    """The growth of one process between two restarts."""

    name: str
    seconds: float
    first: float
    last: float
    slope: float
    """MB a minute."""


class Memory:
    """Samples of all servers, by their names."""

    def __init__(self, here: Site) -> None:
        self.samples: dict[str, list[Sample]] = {}
        self._looks: Mapping[str, Callable[[], tuple[int, float]]] = {
            "searcher": lambda: _resident(here.searcher.pid),
            "embedder": lambda: _resident(here.embedder.pid),
            "gateway": lambda: _resident(here.gateway.pid),
            "postgres": lambda: _private(postmaster(here.data)),
        }

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Take samples in the block."""
        watching = asyncio.create_task(self._watch())
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    def segments(self, warm_up: float) -> list[Segment]:
        """The growth of each process, without the seconds of warm-up after its start."""
        return [part for name, samples in self.samples.items() for part in segments(name, samples, warm_up)]

    async def _watch(self) -> None:
        """Who is away is left out."""
        now = asyncio.get_running_loop().time
        while True:
            for name, look in self._looks.items():
                with suppress(psutil.Error, OSError, IndexError):
                    pid, megabytes = look()
                    if megabytes:  # one that was killed, and is not waited for yet, holds none
                        self.samples.setdefault(name, []).append(Sample(pid, now(), megabytes))
            await asyncio.sleep(_SAMPLE_SECONDS)


def segments(name: str, samples: Sequence[Sample], warm_up: float) -> list[Segment]:
    """The growth of each of its processes; those that lived for less than three warm-ups are left out.

    Args:
        name: the server's.
        samples: its, in order.
        warm_up: seconds that are left out after each start.
    """
    found = []
    for _, group in groupby(samples, key=lambda sample: sample.pid):
        life = list(group)
        settled = [sample for sample in life if sample.at >= life[0].at + warm_up]
        if life[-1].at - life[0].at >= 3 * warm_up:
            seconds = settled[-1].at - settled[0].at
            found.append(Segment(name, seconds, settled[0].megabytes, settled[-1].megabytes, slope(settled)))
    return found


def slope(samples: Sequence[Sample]) -> float:
    """MB a minute, by Theil and Sen: the median over all pairs, which few odd samples do not move."""
    at = np.array([sample.at for sample in samples])
    megabytes = np.array([sample.megabytes for sample in samples])
    one, other = np.triu_indices(len(samples), 1)
    return float(np.median((megabytes[other] - megabytes[one]) / (at[other] - at[one]))) * 60


def _resident(pid: int) -> tuple[int, float]:
    return pid, psutil.Process(pid).memory_info().rss / _MEGABYTE


def _private(parent: psutil.Process) -> tuple[int, float]:
    """Of PostgreSQL: what its processes do not share, as shared buffers fill up for hours and then stay."""
    held = parent.memory_full_info().uss
    for child in parent.children():
        with suppress(psutil.NoSuchProcess):
            held += child.memory_full_info().uss
    return parent.pid, held / _MEGABYTE
