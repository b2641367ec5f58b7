"""The least that a searcher can be in grpc.aio: its search sends the SQL that was recorded of one, and that is all.

A program of its own: `python -m tests.bench.minimal_searcher FILE URL`, with a pickled `Recording`.
"""

import asyncio
import itertools
import pickle
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final

import grpc
import psutil
import uvloop

from lookalike.processes import running
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from lookalike_serving.server import calm_collector
from tests.bench.searcher_process import connected
from tests.bench.sql_replay import Replay, Statements, replay

_SERVICE: Final = "lookalike.v1.SearcherService"
_CONNECTIONS: Final = 10
"""To PostgreSQL: as many as a searcher has by default."""


@dataclass(frozen=True)
class Recording:
    """The statements of searches in a project, and an answer as it travels."""

    project: str
    statements: Sequence[Statements]
    answer: bytes


@dataclass(frozen=True)
class Relay:
    """One that serves: its address, its process, and what calls it."""

    address: str
    process: psutil.Process
    stub: SearcherServiceStub


@asynccontextmanager
async def relay(url: str, recording: Recording, log: IO[bytes]) -> AsyncIterator[Relay]:
    """One that is called as a searcher is."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "recording")
        file.write_bytes(pickle.dumps(recording))  # noqa: ASYNC240 - nothing else runs
        async with (
            running("tests.bench.minimal_searcher", [str(file), url], log) as server,
            connected(server.address) as stub,
        ):
            yield Relay(server.address, psutil.Process(server.process.pid), stub)


async def _serve(recording: Recording, url: str) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with AsyncExitStack() as stack:
        idle = asyncio.LifoQueue[Replay]()
        for _ in range(_CONNECTIONS):
            idle.put_nowait(await stack.enter_async_context(replay(url, recording.project)))
        statements = itertools.cycle(recording.statements)
        answer = wire.SearchResponse.FromString(recording.answer)

        async def search(request: wire.SearchRequest, context: object) -> wire.SearchResponse:
            database = await idle.get()
            try:
                await database.send(next(statements))
            finally:
                idle.put_nowait(database)
            return answer

        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            search, wire.SearchRequest.FromString, wire.SearchResponse.SerializeToString
        )
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_SERVICE, {"Search": handler})])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        calm_collector()
        print(f"ready on 127.0.0.1:{port}", flush=True)
        await ended.wait()
        await server.stop(0)


if __name__ == "__main__":
    # as the module that others import, or what is pickled would be of another class
    from tests.bench.minimal_searcher import _serve as serve

    uvloop.run(serve(pickle.loads(Path(sys.argv[1]).read_bytes()), sys.argv[2]))  # noqa: S301 - the bench's own
