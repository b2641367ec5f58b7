"""An engine that comes as a library, behind the least server that it needs: grpc.aio, and a message for our answers.

A program of its own: `python -m tests.bench.peers.engine MODULE FOLDER DATASET`, with a pickled dataset. A request is
the depth and the vector, as numbers of four bytes each.
"""

import asyncio
import importlib
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import grpc
import numpy as np
import uvloop

from lookalike.processes import running
from lookalike.v1 import searcher_pb2 as wire
from lookalike_serving.server import calm_collector
from tests.bench.dataset import Dataset, sha256_of
from tests.bench.peers.peer import Ask, Peer
from tests.bench.searches import Queries
from tests.bench.synthetic_vectors import Vectors

_SERVICE: Final = "lookalike.bench.Engine"
_METHOD: Final = f"/{_SERVICE}/Search"


class Found(NamedTuple):
    """A hit."""

    row: int
    similarity: float
    uri: str
    product: str


Search = Callable[[Vectors, int], Awaitable[Iterable[Found]]]
"""Finds the ten nearest to a vector, at a depth."""


@asynccontextmanager
async def served(module: str, how: str, folder: Path, queries: Queries, log: IO[bytes]) -> AsyncIterator[Peer]:
    """The engine of a module, whose `opened` stores and indexes a dataset in a folder, as a server."""
    depth = np.zeros(1, np.int32)

    async def set_depth(wanted: int) -> None:
        depth[0] = wanted

    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "dataset")
        file.write_bytes(pickle.dumps(queries.dataset))  # noqa: ASYNC240 - nothing else runs
        async with running(__name__, [module, str(folder), str(file)], log) as server:
            vectors = [vector.astype(np.float32).tobytes() for vector in queries.vectors]

            @asynccontextmanager
            async def connect() -> AsyncIterator[Ask]:
                options = [("grpc.use_local_subchannel_pool", 1)]
                async with grpc.aio.insecure_channel(server.address, options=options) as channel:
                    search: Any = channel.unary_unary(_METHOD, response_deserializer=wire.SearchResponse.FromString)

                    async def ask(query: int) -> list[bytes]:
                        return [hit.sha256 for hit in (await search(depth.tobytes() + vectors[query])).hits]

                    yield ask

            yield Peer(f"{how}, behind a bare grpc.aio server", float(server.description), set_depth, connect)


async def _serve(module: str, folder: Path, dataset: Dataset) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    began = time.perf_counter()
    engine: Search = await importlib.import_module(module).opened(folder, dataset)
    seconds = time.perf_counter() - began

    async def search(request: bytes, context: object) -> wire.SearchResponse:
        depth = int(np.frombuffer(request, np.int32, 1)[0])
        found = await engine(np.frombuffer(request, np.float32, offset=depth_bytes), depth)
        return wire.SearchResponse(hits=map(_hit, found))

    depth_bytes = np.dtype(np.int32).itemsize
    server = grpc.aio.server()
    handler: Any = grpc.unary_unary_rpc_method_handler(search, None, wire.SearchResponse.SerializeToString)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_SERVICE, {"Search": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    calm_collector()
    print(f"ready on 127.0.0.1:{port} ({seconds:.1f})", flush=True)
    await ended.wait()
    await server.stop(0)


def _hit(found: Found) -> wire.Hit:
    reference = wire.Reference(uri=found.uri, product=found.product)
    return wire.Hit(sha256=sha256_of(found.row), similarity=found.similarity, references=[reference])


if __name__ == "__main__":
    name, place, pickled = sys.argv[1:]
    uvloop.run(_serve(name, Path(place), pickle.loads(Path(pickled).read_bytes())))  # noqa: S301 - the bench's own
