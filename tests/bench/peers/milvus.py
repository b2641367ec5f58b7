"""Milvus Lite's server, over gRPC: Milvus' own stubs, with messages that are made before."""

import asyncio
import sysconfig
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final

import grpc

from tests.bench.dataset import Dataset, sha256_of, uri_of
from tests.bench.peers.peer import Ask, Peer, free_port
from tests.bench.peers.program import program
from tests.bench.searches import Queries

MODULE: Final = "milvus_lite"
_COLLECTION: Final = "catalogue"
_BATCH: Final = 1_000
_M, _EF_CONSTRUCTION = 16, 200
_LENGTH: Final = 256


@asynccontextmanager
async def peer(folder: Path, queries: Queries, log: IO[bytes]) -> AsyncIterator[Peer]:
    """It holds the dataset."""
    from pymilvus.client.prepare import Prepare
    from pymilvus.grpc_gen.milvus_pb2_grpc import MilvusServiceStub

    address = f"127.0.0.1:{free_port()}"
    host, port = address.split(":")
    command = [f"{sysconfig.get_path('scripts')}/milvus-lite", "server"]
    command += ["--data-dir", str(folder), "--host", host, "--port", port]
    async with program(command, log, lambda: _answers(address)):
        began = time.perf_counter()
        await asyncio.to_thread(_fill, f"http://{address}", queries.dataset)
        seconds = time.perf_counter() - began
        requests: list[Any] = []

        async def set_depth(depth: int) -> None:
            requests[:] = [
                Prepare.search_requests_with_expr(
                    _COLLECTION,
                    "vector",
                    {"metric_type": "COSINE", "params": {"ef": depth}},
                    10,
                    data=[vector.tolist()],
                    output_fields=["uri", "product"],
                )
                for vector in queries.vectors
            ]

        @asynccontextmanager
        async def connect() -> AsyncIterator[Ask]:
            options = [("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.insecure_channel(address, options=options) as channel:
                stub = MilvusServiceStub(channel)

                async def ask(query: int) -> list[bytes]:
                    answer = await stub.Search(requests[query])
                    return [sha256_of(row) for row in answer.results.ids.int_id.data]

                yield ask

        how = f"Milvus Lite's server {version('milvus-lite')}, gRPC by Milvus' stubs; m {_M},"
        yield Peer(f"{how} ef_construction {_EF_CONSTRUCTION}", seconds, set_depth, connect)


async def _answers(address: str) -> bool:
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            await channel.unary_unary("/milvus.proto.milvus.MilvusService/Connect")(b"", wait_for_ready=True, timeout=2)
        except grpc.aio.AioRpcError as error:
            return error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED
    return True


def _fill(url: str, dataset: Dataset) -> None:
    from pymilvus import DataType, MilvusClient

    client = MilvusClient(url)
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dataset.vectors.shape[1])
    for field in ("uri", "product"):
        schema.add_field(field, DataType.VARCHAR, max_length=_LENGTH)
    index = MilvusClient.prepare_index_params()
    parameters = {"M": _M, "efConstruction": _EF_CONSTRUCTION}
    index.add_index("vector", index_type="HNSW", metric_type="COSINE", params=parameters)
    client.create_collection(_COLLECTION, schema=schema)
    for start in range(0, len(dataset), _BATCH):
        rows = range(start, min(start + _BATCH, len(dataset)))
        images = [
            {"id": row, "vector": dataset.vectors[row].tolist(), "uri": uri_of(row), "product": dataset.product(row)}
            for row in rows
        ]
        client.insert(_COLLECTION, images)
    client.flush(_COLLECTION)
    client.create_index(_COLLECTION, index)
    client.load_collection(_COLLECTION)
    client.close()
