"""Qdrant's engine beside ours: Qdrant Edge, which runs in this process, so that neither RPC nor SQL is in its way.

Qdrant's server comes as a container or from its releases, and no package index carries it: a ratio to it is left out.
"""

import importlib.util
import time
from pathlib import Path
from typing import Final

import numpy as np

from tests.bench.dataset import sha256_of
from tests.bench.figures import Figure
from tests.bench.ground_truth import Truth
from tests.bench.latency import milliseconds
from tests.bench.searches import Queries

_BATCH: Final = 1_000
_M, _EF_CONSTRUCTION = 16, 100
"""Qdrant's own defaults."""
_FULL_SCAN: Final = 10_000
_EFS: Final = (128, 256)


async def measure(folder: Path, queries: Queries, truth: Truth) -> list[Figure]:
    """The same vectors in half precision, one segment, Qdrant's own HNSW parameters, and two depths of search."""
    if importlib.util.find_spec("qdrant_edge") is None:
        return [Figure("qdrant_edge_ms", None, "left out, as qdrant-edge-py is not installed; no Qdrant server either")]
    import qdrant_edge as qdrant

    shard = qdrant.EdgeShard.create(
        str(folder),
        qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(
                queries.dataset.vectors.shape[1], qdrant.Distance.Cosine, datatype=qdrant.VectorStorageDatatype.Float16
            ),
            hnsw_config=qdrant.HnswIndexConfig(_M, _EF_CONSTRUCTION, _FULL_SCAN),
            optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1),
        ),
    )
    began = time.perf_counter()
    for start in range(0, len(queries.dataset), _BATCH):
        part = queries.dataset.vectors[start : start + _BATCH]
        points = [qdrant.Point(start + n, vector.tolist()) for n, vector in enumerate(part)]
        shard.update(qdrant.UpdateOperation.upsert_points(points))
    shard.optimize()
    figures = [Figure("qdrant_edge_build_seconds", time.perf_counter() - began, "to store and index all")]
    for ef in _EFS:
        seconds, shares = [], []
        for number, vector in enumerate(queries.vectors):
            request = qdrant.QueryRequest(
                limit=10, query=qdrant.Query.Nearest(vector.tolist()), params=qdrant.SearchParams(hnsw_ef=ef)
            )
            asked = time.perf_counter()
            found = shard.query(request)
            seconds.append(time.perf_counter() - asked)
            shares.append(truth.recall(number, [sha256_of(point.id) for point in found], 10))
        on = f"{len(shares)} queries in this process, no server: recall@10 {np.mean(shares):.4f} at hnsw_ef {ef}"
        figures.append(Figure(f"qdrant_edge_ms.{ef}", milliseconds(seconds), on))
    shard.close()
    return figures
