"""Verify hits: compare their fingerprints with the query's, in threads of their own."""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Final

from lookalike_searcher.copies import verification
from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.copies.proof import Proof
from lookalike_searcher.copies.sides import Side
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.images import fingerprint_rules
from lookalike_searcher.metrics import Metrics
from lookalike_searcher.projects import registry
from lookalike_searcher.search.read_routing import Reads
from lookalike_searcher.search.types import Ranking, Search
from lookalike_serving.fingerprint import NAME, Fingerprint

logger = logging.getLogger(__name__)

Proofs = Mapping[bytes, Proof]
"""What is proven of an image, by its hash."""

_AT_ONCE: Final = 4
"""So many searches for each thread have their fingerprints in memory, of at most 3 MB each, or 8 MB with views.
The others wait."""


class Verifier:
    """The verifier compares the fingerprints of hits with those of their queries.

    Args:
        threads: compare them.
        metrics: measures verifications.
    """

    def __init__(self, threads: ComparisonThreads, metrics: Metrics) -> None:
        self._metrics = metrics
        self._threads = threads
        self._places = asyncio.Semaphore(_AT_ONCE * threads.count)

    async def proofs(self, search: Search, ranking: Ranking, reads: Reads) -> Proofs:
        """Return what is proven of the first hits that have a fingerprint; of the query's own file, nothing need be.

        Raises:
            NotFound: the project has just been deleted.
            InvalidField: the query's picture is broken.
        """
        own = ranking.query.sha256
        wanted = [hit.sha256 for hit in ranking.hits[: search.verify] if hit.sha256 != own]
        if not wanted or not (search.fingerprint or own):
            return {}
        async with self._places:
            started = time.perf_counter()
            named = wanted if search.fingerprint else [*wanted, own]
            held = await reads.ask(lambda database: _held(database, search.project_name, ranking.project_id, named))
            query = search.fingerprint or held.pop(own, None)
            if query is None or not held:
                return {}
            proofs = await self._compared(query, held, given=search.fingerprint is not None)
            self._metrics.verify_seconds.observe(time.perf_counter() - started)
        for proof in proofs.values():
            self._metrics.verified.labels(proof.kind.value).inc()
        return proofs

    async def _compared(self, query: Fingerprint, images: Mapping[bytes, Fingerprint], *, given: bool) -> Proofs:
        """Compare all images with the query; if that was `given`, and is broken, say so."""
        left = threading.Event()
        try:
            return await self._threads.run(partial(_proofs, query, images, left))
        except fingerprint_rules.BROKEN as error:
            if not given:
                logger.warning("the query's stored fingerprint is broken: %s", error)
                return {}
            raise fingerprint_rules.refusal("fingerprint.picture", error) from error
        finally:
            left.set()


async def _held(database: Database, name: str, project_id: int, sha256s: list[bytes]) -> dict[bytes, Fingerprint]:
    """Return the fingerprints of the images that have one, by their hashes."""
    async with database.searching(name) as connection:
        with registry.deletion_noticed(name):
            rows = await connection.fetch(statement("fingerprint_read", project_id, key="sha256"), sha256s, NAME)
    return {row["sha256"]: Fingerprint(row["picture"], row["keypoints"]) for row in rows}


def _proofs(query: Fingerprint, images: Mapping[bytes, Fingerprint], left: threading.Event) -> Proofs:
    """Compare the images with the query one after another, until the caller has `left`.

    One thread does it all: what is compared is so small that threads beside it would mostly wait for the interpreter.

    Raises:
        InvalidKeypoints, InvalidPicture: the query is broken.
    """
    side = Side.of(query)
    _ = side.seen  # a broken picture is the query's fault, and no image's
    proofs = {}
    for sha256, image in images.items():
        if left.is_set():
            break
        if proof := verification.verify_stored(lambda: side, partial(Side.of, image)):
            proofs[sha256] = proof
    return proofs
