"""Qdrant's engine beside ours: Qdrant Edge in this process, so that neither RPC nor SQL is in its way.

`peers` has it behind a server, as it would be used, and at the recall that ours has.
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
from tests.bench.peers import qdrant
from tests.bench.searches import Queries

_EFS: Final = (128, 256)


async def measure(folder: Path, queries: Queries, truth: Truth) -> list[Figure]:
    """The same vectors, and two depths of search."""
    if importlib.util.find_spec(qdrant.MODULE) is None:
        return [Figure("qdrant_edge_ms", None, "left out, as qdrant-edge-py is not installed; no Qdrant server either")]
    began = time.perf_counter()
    shard = qdrant.filled(folder, queries.dataset)
    figures = [Figure("qdrant_edge_build_seconds", time.perf_counter() - began, "to store and index all")]
    for ef in _EFS:
        seconds, shares = [], []
        for number, vector in enumerate(queries.vectors):
            request = qdrant.nearest(vector, ef)
            asked = time.perf_counter()
            found = shard.query(request)
            seconds.append(time.perf_counter() - asked)
            shares.append(truth.share(number, [sha256_of(point.id) for point in found]))
        on = f"{len(shares)} queries in this process, no server: recall@10 {np.mean(shares):.4f} at hnsw_ef {ef}"
        figures.append(Figure(f"qdrant_edge_ms.{ef}", milliseconds(seconds), on))
    shard.close()
    return figures
