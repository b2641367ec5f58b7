"""What an expert does with pgvector alone: two tables, an HNSW index, one prepared statement, and no service."""

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import numpy as np

from lookalike_searcher.database.connection import prepare
from lookalike_searcher.database.halfvec import encode
from tests.bench.dataset import Dataset, sha256_of, uri_of
from tests.bench.ground_truth import Truth
from tests.bench.latency import milliseconds, timed
from tests.bench.synthetic_vectors import Vectors

_PART: Final = 10_000
_TABLES: Final = """
CREATE SCHEMA by_hand;
CREATE TABLE by_hand.image (id bigint PRIMARY KEY, sha256 bytea NOT NULL, vector halfvec({dimensions}) NOT NULL);
CREATE TABLE by_hand.reference (
    image_id bigint NOT NULL, uri text NOT NULL, product text NOT NULL, labels jsonb NOT NULL
)
"""
_BUILD: Final = """
CREATE INDEX image_vector ON by_hand.image USING hnsw (vector halfvec_cosine_ops)
WITH (m = {m}, ef_construction = {ef_construction})
"""
_SEARCH: Final = """
SELECT nearest.id, nearest.distance, nearest.sha256, reference.uri, reference.product, reference.labels
FROM (SELECT id, sha256, vector <=> $1 AS distance FROM by_hand.image ORDER BY vector <=> $1 LIMIT 10) AS nearest
JOIN by_hand.reference ON reference.image_id = nearest.id
ORDER BY nearest.distance
"""
_UNREACHED: Final = """
SELECT count(*) FROM by_hand.image AS own WHERE id = ANY ($1::bigint[]) AND (
    SELECT other.vector <=> own.vector FROM by_hand.image AS other ORDER BY other.vector <=> own.vector LIMIT 1
) > 0.001
"""
_MEMORY: Final = "SET maintenance_work_mem = '{megabytes}MB'"


@dataclass(frozen=True)
class Graph:
    """An index, how long it took to build, and its size."""

    m: int
    ef_construction: int
    seconds: float
    bytes: int


class Tables:
    """The tables, with a row for each image, and one for its reference.

    Args:
        connection: all is done over this one.
    """

    def __init__(self, connection: "asyncpg.Connection[Any]") -> None:
        self._connection = connection
        self._search: Any = None

    async def fill(self, dataset: Dataset, order: Sequence[int]) -> None:
        """Copy the rows in this order, which is the order in which the index gets them."""
        await self._connection.execute("DROP SCHEMA IF EXISTS by_hand CASCADE")
        await self._connection.execute(_TABLES.format(dimensions=dataset.vectors.shape[1]))
        for start in range(0, len(order), _PART):
            rows = list(order[start : start + _PART])
            halves = encode(dataset.vectors[rows])
            images = [(row, sha256_of(row), half) for row, half in zip(rows, halves, strict=True)]
            references = [(row, uri_of(row), dataset.product(row), json.dumps(dataset.labels(row))) for row in rows]
            await self._connection.copy_records_to_table("image", schema_name="by_hand", records=images)
            await self._connection.copy_records_to_table("reference", schema_name="by_hand", records=references)
        await self._connection.execute("CREATE INDEX ON by_hand.reference (image_id)")
        await self._connection.execute("VACUUM ANALYZE by_hand.image, by_hand.reference")

    async def build(self, m: int, ef_construction: int, memory_mb: int = 2048) -> Graph:
        """Build the index, in place of one before."""
        await self._connection.execute("DROP INDEX IF EXISTS by_hand.image_vector")
        await self._connection.execute(_MEMORY.format(megabytes=memory_mb))
        began = time.perf_counter()
        await self._connection.execute(_BUILD.format(m=m, ef_construction=ef_construction))
        seconds = time.perf_counter() - began
        size = await self._connection.fetchval("SELECT pg_relation_size('by_hand.image_vector')")
        self._search = await self._connection.prepare(_SEARCH)
        return Graph(m, ef_construction, seconds, size)

    async def delete(self, rows: Sequence[int]) -> None:
        """Delete images, then vacuum."""
        await self._connection.execute("DELETE FROM by_hand.image WHERE id = ANY ($1::bigint[])", list(rows))
        await self._connection.execute("VACUUM by_hand.image")

    async def depth(self, ef_search: int) -> None:
        """Let searches from now on walk the index so deep."""
        await self._connection.execute(f"SET hnsw.ef_search = {ef_search:d}")

    async def search(self, vector: bytes) -> list[asyncpg.Record]:
        """The ten nearest images with their references."""
        return list(await self._search.fetch(vector))

    async def unreached(self, rows: Sequence[int]) -> int:
        """How many of these images a walk with their own vectors does not find, nor any that is as near."""
        return int(await self._connection.fetchval(_UNREACHED, list(rows)))

    async def warm(self, queries: Vectors) -> None:
        """Search for all, so that the index is in memory."""
        for vector in encode(queries):
            await self.search(vector)


@asynccontextmanager
async def tables(url: str) -> AsyncIterator[Tables]:
    """Tables in a schema of their own, which goes with the block."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        await prepare(connection)
        await connection.execute("SET enable_seqscan = off")  # or the planner compares all of few images
        yield Tables(connection)
    finally:
        await connection.execute("DROP SCHEMA IF EXISTS by_hand CASCADE")
        await connection.close()


async def recall_and_milliseconds(
    tables: Tables, queries: Vectors, truth: Truth, number_of: Callable[[int], int] = int
) -> tuple[float, float]:
    """Mean recall of ten hits and the p50 of a search, over all queries.

    Args:
        tables: with an index, and a depth.
        queries: those of the truth.
        truth: what should be found.
        number_of: the number in the truth of a row of the tables.
    """
    found: list[list[asyncpg.Record]] = []

    async def ask(vector: bytes) -> None:
        found.append(await tables.search(vector))

    seconds = await timed(ask, encode(queries))
    hits = ([sha256_of(number_of(row["id"])) for row in rows] for rows in found)
    shares = [truth.share(number, hashes) for number, hashes in enumerate(hits)]
    return float(np.mean(shares)), milliseconds(seconds)
