"""Chroma's server, over HTTP: JSON that is made before, sent by aiohttp, which is quicker than Chroma's own client."""

import json
import sysconfig
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final

import aiohttp

from tests.bench.dataset import Dataset, sha256_of, uri_of
from tests.bench.peers.peer import Ask, Peer, free_port
from tests.bench.peers.program import program
from tests.bench.searches import Queries

MODULE: Final = "chromadb"
_COLLECTIONS: Final = "/api/v2/tenants/default_tenant/databases/default_database/collections"
_BATCH: Final = 1_000
_M, _EF_CONSTRUCTION = 16, 100
"""Chroma's own defaults."""


@asynccontextmanager
async def peer(folder: Path, queries: Queries, log: IO[bytes]) -> AsyncIterator[Peer]:
    """It holds the dataset."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [f"{sysconfig.get_path('scripts')}/chroma", "run", "--path", str(folder), "--port", str(port)]
    async with aiohttp.ClientSession(url) as session, program(command, log, lambda: _answers(session)):
        began = time.perf_counter()
        collection = await _filled(session, queries.dataset)
        seconds = time.perf_counter() - began
        bodies = [json.dumps(_query(vector.tolist())).encode() for vector in queries.vectors]

        async def set_depth(depth: int) -> None:
            changed = {"new_configuration": {"hnsw": {"ef_search": depth}}}
            async with session.put(collection, json=changed) as answer:
                answer.raise_for_status()

        @asynccontextmanager
        async def connect() -> AsyncIterator[Ask]:
            async with aiohttp.ClientSession(url, headers={"Content-Type": "application/json"}) as own:

                async def ask(query: int) -> list[bytes]:
                    async with own.post(f"{collection}/query", data=bodies[query]) as answer:
                        found = json.loads(await answer.read())
                    return [sha256_of(int(row)) for row in found["ids"][0]]

                yield ask

        how = (
            f"Chroma's server {version(MODULE)}, HTTP with JSON by aiohttp; m {_M}, ef_construction {_EF_CONSTRUCTION}"
        )
        yield Peer(how, seconds, set_depth, connect)


async def _answers(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get("/api/v2/heartbeat") as answer:
            return answer.ok
    except aiohttp.ClientConnectionError:
        return False


async def _filled(session: aiohttp.ClientSession, dataset: Dataset) -> str:
    """The path of a collection with the whole dataset."""
    hnsw = {"space": "cosine", "max_neighbors": _M, "ef_construction": _EF_CONSTRUCTION}
    async with session.post(_COLLECTIONS, json={"name": "catalogue", "configuration": {"hnsw": hnsw}}) as answer:
        answer.raise_for_status()
        collection = f"{_COLLECTIONS}/{(await answer.json())['id']}"
    for start in range(0, len(dataset), _BATCH):
        rows = range(start, min(start + _BATCH, len(dataset)))
        images = {
            "ids": [str(row) for row in rows],
            "embeddings": dataset.vectors[rows.start : rows.stop].tolist(),
            "metadatas": [{"uri": uri_of(row), "product": dataset.product(row)} for row in rows],
        }
        async with session.post(f"{collection}/add", json=images) as answer:
            answer.raise_for_status()
    return collection


def _query(vector: list[float]) -> dict[str, Any]:
    return {"query_embeddings": [vector], "n_results": 10, "include": ["metadatas", "distances"]}
