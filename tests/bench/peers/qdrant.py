"""Qdrant's engine, Qdrant Edge: Qdrant's server comes as a container or from its releases, not from a package index."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final

from tests.bench.dataset import Dataset, uri_of
from tests.bench.peers.engine import Found, Search, served
from tests.bench.peers.peer import Peer
from tests.bench.searches import Queries
from tests.bench.synthetic_vectors import Vectors

MODULE: Final = "qdrant_edge"
_BATCH: Final = 1_000
_M, _EF_CONSTRUCTION = 16, 100
"""Qdrant's own defaults."""
_FULL_SCAN: Final = 10_000


@asynccontextmanager
async def peer(folder: Path, queries: Queries, log: IO[bytes]) -> AsyncIterator[Peer]:
    """It holds the dataset."""
    how = f"Qdrant Edge {version('qdrant-edge-py')}, m {_M}, ef_construction {_EF_CONSTRUCTION}, half precision"
    async with served(__name__, how, folder, queries, log) as engine:
        yield engine


async def opened(folder: Path, dataset: Dataset) -> Search:
    """A search in the engine, which lets other threads run meanwhile."""
    shard = filled(folder, dataset)

    async def search(vector: Vectors, depth: int) -> Iterable[Found]:
        found = await asyncio.to_thread(shard.query, nearest(vector, depth))
        return [Found(one.id, one.score, one.payload["uri"], one.payload["product"]) for one in found]

    return search


def filled(folder: Path, dataset: Dataset) -> Any:  # noqa: ANN401 - the engine is published without types
    """A shard with the dataset in half precision, in one segment, with Qdrant's own HNSW parameters."""
    import qdrant_edge as qdrant

    folder.mkdir(parents=True, exist_ok=True)
    shard = qdrant.EdgeShard.create(
        str(folder),
        qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(
                dataset.vectors.shape[1], qdrant.Distance.Cosine, datatype=qdrant.VectorStorageDatatype.Float16
            ),
            hnsw_config=qdrant.HnswIndexConfig(_M, _EF_CONSTRUCTION, _FULL_SCAN),
            optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1),
        ),
    )
    for start in range(0, len(dataset), _BATCH):
        points = [
            qdrant.Point(row, dataset.vectors[row].tolist(), {"uri": uri_of(row), "product": dataset.product(row)})
            for row in range(start, min(start + _BATCH, len(dataset)))
        ]
        shard.update(qdrant.UpdateOperation.upsert_points(points))
    shard.optimize()
    return shard


def nearest(vector: Vectors, depth: int) -> Any:  # noqa: ANN401 - as above
    """A request for the ten nearest with their payload."""
    import qdrant_edge as qdrant

    return qdrant.QueryRequest(
        limit=10,
        query=qdrant.Query.Nearest(vector.tolist()),
        params=qdrant.SearchParams(hnsw_ef=depth),
        with_payload=True,
    )
