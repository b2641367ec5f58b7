"""What all parts of a bench share: the photos, how long to measure, and the embedder under test."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

import platformdirs

from lookalike.processes import ServerProcess, running
from lookalike_embedder import projection, weights
from lookalike_embedder.image import Limits
from lookalike_embedder.weights import Weights
from tests.bench.bulk_load import messages

if TYPE_CHECKING:
    from lookalike_embedder.model import CpuModel, CudaModel

LIMITS = Limits(max_bytes=16 * 1024 * 1024, max_pixels=64_000_000)
CACHE_DIR = platformdirs.user_cache_path("lookalike")


@dataclass(frozen=True)
class Setting:
    """A run of the bench.

    Attributes:
        jpegs: the photos, as files.
        rounds: how often the parties take turns.
        seconds: how long each one's turn is.
        calls: interactive calls beside bulk work.
        mixed: how many mixed images memory is measured over.
        further: a folder of files of any kind, to be mixed among them.
        log: where servers write.
    """

    jpegs: list[bytes]
    rounds: int
    seconds: float
    calls: int
    mixed: int
    further: Path | None
    log: IO[bytes]

    @cached_property
    def requests(self) -> list[bytes]:
        """The photos, as messages of a stream."""
        return messages(self.jpegs)

    def endless(self) -> Iterator[bytes]:
        """These messages, again and again."""
        return itertools.cycle(self.requests)

    @asynccontextmanager
    async def embedder(self, *options: str) -> AsyncIterator[ServerProcess]:
        """The real embedder as a process, as it starts by default or with options, but for its cache.

        That would answer for it. It does not probe itself either: an idle one must not compute while others have
        their turn.
        """
        arguments = ["--port", "0", "--metrics-port", "0", "--cache-size", "0", "--probe-interval", "3600", *options]
        async with running("lookalike_embedder", arguments, self.log) as server:
            yield server


def trunk() -> Weights:
    """The real weights."""
    return weights.resolve(None, CACHE_DIR)


def load_model(device: str = "auto", precision: str = "auto") -> "CpuModel | CudaModel":
    """The default model."""
    from lookalike_embedder import model  # torch is imported by those alone who need it: it takes seconds

    return model.load(trunk().tensors, device=device, precision=precision, projection=projection.shipped())
