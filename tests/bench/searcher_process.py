"""The searcher under test: a PostgreSQL in a temporary folder, a real searcher as a process, and ways to both."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import psutil

from lookalike._transport.channel import SEARCHER, open_channel
from lookalike.processes import running
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_searcher.database import pool as databases
from lookalike_searcher.database import postgres
from lookalike_searcher.database.pool import Database
from tests.served_metrics import metrics_port

_LOOK_SECONDS: Final = 0.25
_SETTLED_SECONDS: Final = 20.0
"""Longer than the searcher's patience with a project that grows, and than two of its looks for work."""
_COMMAND_TIMEOUT: Final = 600.0


@dataclass(frozen=True)
class Site:
    """A searcher that serves, with default settings.

    Attributes:
        address: the searcher's.
        metrics_port: where the searcher exports its metrics.
        stub: calls it.
        database: the same database, reached from here: the searcher's own code, without the RPC.
        url: that database's.
        searcher, postmaster: the processes.
        log: where the searcher's log goes.
    """

    address: str
    metrics_port: int
    stub: SearcherServiceStub
    database: Database
    url: str
    searcher: psutil.Process
    postmaster: psutil.Process
    log: IO[bytes]

    async def ready(self, project: str) -> tuple[float, wire.Index]:
        """Wait until the project's index is there and tuned: when that was, and the index."""
        while True:
            found = (await self.stub.GetProject(wire.GetProjectRequest(name=project))).project
            if (index := found.spaces[0].index).state in (wire.INDEX_STATE_READY, wire.INDEX_STATE_NONE):
                return time.perf_counter(), index
            await asyncio.sleep(_LOOK_SECONDS)

    async def settled(self, projects: Sequence[str]) -> dict[str, wire.Index]:
        """Wait until maintenance has done what it has to do: the projects' indexes stay as they are for a while."""
        found, since = {project: (await self.ready(project))[1] for project in projects}, time.monotonic()
        while time.monotonic() - since < _SETTLED_SECONDS:
            await asyncio.sleep(_LOOK_SECONDS)
            now = {project: (await self.ready(project))[1] for project in projects}
            if any(
                (now[one].state, now[one].ef_search) != (found[one].state, found[one].ef_search) for one in projects
            ):
                found, since = now, time.monotonic()
        return found

    def cpu(self) -> np.ndarray:
        """Seconds of processor time so far: this process, the searcher, PostgreSQL with all that it started."""
        servers = [self.postmaster, *self.postmaster.children(recursive=True)]
        return np.array([_seconds(psutil.Process()), _seconds(self.searcher), sum(map(_seconds, servers))])


@contextmanager
def counted(cpu: dict[str, float], name: str, process: psutil.Process) -> Iterator[None]:
    """Add to what has that name the seconds of processor time that the process takes in the block."""
    before = _seconds(process)
    yield
    cpu[name] += _seconds(process) - before


def _seconds(process: psutil.Process) -> float:
    try:
        times: Any = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


@asynccontextmanager
async def site(folder: Path, log: IO[bytes], flags: Sequence[str] = ()) -> AsyncIterator[Site]:
    """A site of its own, which goes with the block.

    Args:
        folder: for the database.
        log: where the searcher's log goes.
        flags: of the searcher, for what is not by default.
    """
    with postgres.embedded(folder) as embedded:
        # Learning from the project, for some minutes after an import, would be measured too.
        arguments = ["--port", "0", "--metrics-port", "0", "--database-url", embedded.url, "--tuning", "off", *flags]
        async with (
            running("lookalike_searcher", arguments, log) as server,
            connected(server.address) as stub,
            databases.connect(embedded.url, pool_size=4, command_timeout=_COMMAND_TIMEOUT) as database,
        ):
            searcher = psutil.Process(server.process.pid)
            yield Site(
                server.address, metrics_port(server), stub, database, embedded.url, searcher, embedded.process, log
            )


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[SearcherServiceStub]:
    """A channel as clients have it, with a connection of its own."""
    async with open_channel(address, SEARCHER) as channel:
        yield SearcherServiceStub(channel)


async def index(stub: SearcherServiceStub, requests: Sequence[wire.IndexImagesRequest]) -> float:
    """Seconds to store all that the messages bring, from the first one sent to the last acknowledgement."""
    began, stored = time.perf_counter(), 0
    async for answer in stub.IndexImages(iter(requests)):
        stored += sum(result.HasField("indexed") for result in answer.entries.results)
    seconds = time.perf_counter() - began
    if stored != (sent := sum(len(request.entries) for request in requests)):
        raise SystemExit(f"{stored} of {sent} images were stored")
    return seconds
