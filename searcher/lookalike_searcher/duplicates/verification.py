"""Compare the fingerprints of pairs of images, in threads."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

from lookalike_searcher.copies import verification
from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.copies.proof import Proof
from lookalike_searcher.copies.sides import Side
from lookalike_searcher.database.statement import statement
from lookalike_searcher.projects.space_reader import SpaceReader
from lookalike_serving.fingerprint import NAME, Fingerprint

Pair = tuple[int, int]


class _Held:
    """The fingerprint of an image is unpacked when it is first compared, and only once."""

    def __init__(self, sha256: bytes, fingerprint: Fingerprint) -> None:
        self.sha256 = sha256
        self._fingerprint = fingerprint
        self._side: Side | None = None

    def side(self) -> Side:
        """Return the side of a comparison that the image is. Raises what is wrong with a broken fingerprint."""
        self._side = self._side or Side.of(self._fingerprint)
        return self._side


class PairVerifier:
    """The verifier compares pairs of a project's images.

    It has as many comparisons in the threads as there are threads, so that those of searches never wait for long.

    Args:
        source: reads the fingerprints.
        threads: compare them.
    """

    def __init__(self, source: SpaceReader, threads: ComparisonThreads) -> None:
        self._source = source
        self._threads = threads
        self._places = asyncio.Semaphore(threads.count)

    async def proofs(self, pairs: Sequence[Pair]) -> list[Proof | None]:
        """Return for each pair what was done to the second image so that it became the first.

        None stands for a pair that cannot be compared. The image with the lower hash is the query of the comparison, so
        that what the two are to one another does not depend on their order.
        """
        held = await self._held(image for pair in pairs for image in pair)
        return list(await asyncio.gather(*(self._proof(held.get(one), held.get(other)) for one, other in pairs)))

    async def _proof(self, one: _Held | None, other: _Held | None) -> Proof | None:
        if not one or not other:
            return None
        query, image = sorted((one, other), key=lambda held: held.sha256)
        async with self._places:
            proof = await self._threads.run(partial(verification.verify_stored, query.side, image.side))
        return proof.inverse if proof and query is other else proof

    async def _held(self, images: Iterable[int]) -> dict[int, _Held]:
        """Return the fingerprints of the images that have one."""
        async with self._source.reading() as (connection, project, _):
            rows = await connection.fetch(statement("fingerprint_read", project.id, key="id"), list(set(images)), NAME)
        return {row["image_id"]: _Held(row["sha256"], Fingerprint(row["picture"], row["keypoints"])) for row in rows}
