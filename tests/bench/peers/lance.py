"""LanceDB, a library: its server is no part of what the package index has."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Final

import numpy as np

from tests.bench.dataset import Dataset, uri_of
from tests.bench.peers.engine import Found, Search, served
from tests.bench.peers.peer import Peer
from tests.bench.searches import Queries
from tests.bench.synthetic_vectors import Vectors

MODULE: Final = "lancedb"
_M, _EF_CONSTRUCTION = 20, 300
"""LanceDB's own defaults; one partition, so that the graph is searched as ours is."""


@asynccontextmanager
async def peer(folder: Path, queries: Queries, log: IO[bytes]) -> AsyncIterator[Peer]:
    """It holds the dataset."""
    how = f"LanceDB {version(MODULE)}, HNSW in one partition, m {_M}, ef_construction {_EF_CONSTRUCTION}"
    async with served(__name__, how, folder, queries, log) as engine:
        yield engine


async def opened(folder: Path, dataset: Dataset) -> Search:
    """A search in the table, which holds the vectors in single precision."""
    import lancedb
    import pyarrow
    from lancedb.index import HnswFlat

    database = await lancedb.connect_async(str(folder))
    rows, width = range(len(dataset)), dataset.vectors.shape[1]
    flat = pyarrow.array(dataset.vectors.astype(np.float32).ravel())
    columns = {
        "row": pyarrow.array(rows, pyarrow.int64()),
        "vector": pyarrow.FixedSizeListArray.from_arrays(flat, width),
        "uri": [uri_of(row) for row in rows],
        "product": [dataset.product(row) for row in rows],
    }
    table = await database.create_table("catalogue", pyarrow.table(columns))
    index = HnswFlat(distance_type="cosine", num_partitions=1, m=_M, ef_construction=_EF_CONSTRUCTION)
    await table.create_index("vector", config=index)

    async def search(vector: Vectors, depth: int) -> Iterable[Found]:
        query = table.query().nearest_to(vector.tolist()).distance_type("cosine").nprobes(1).ef(depth).limit(10)
        found = await query.select(["row", "uri", "product", "_distance"]).to_list()
        return [Found(one["row"], 1 - one["_distance"], one["uri"], one["product"]) for one in found]

    return search
