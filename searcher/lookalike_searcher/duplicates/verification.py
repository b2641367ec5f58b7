"""Compare the fingerprints of pairs of images, in threads."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

from lookalike_searcher.copies import verification
from lookalike_searcher.copies.comparison_threads import ComparisonThreads
from lookalike_searcher.copies.proof import Kind, Proof
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

    async def kinds(self, pairs: Sequence[Pair]) -> list[Kind | None]:
        """Return what the two of each pair are to one another; None if they cannot be compared.

        The one with the lower hash is the query, so that the answer does not depend on the order of the pair.
        """
        held = await self._held(image for pair in pairs for image in pair)
        ordered = [_by_hash(held, pair) for pair in pairs]
        return [proof.kind if proof else None for proof in await self._proofs(held, ordered)]

    async def proofs(self, pairs: Sequence[Pair]) -> list[Proof | None]:
        """Return for each pair what was done to the second image so that it became the first; None as above."""
        return await self._proofs(await self._held(image for pair in pairs for image in pair), pairs)

    async def _proofs(self, held: dict[int, _Held], pairs: Iterable[Pair]) -> list[Proof | None]:
        return list(await asyncio.gather(*(self._proof(held.get(query), held.get(image)) for query, image in pairs)))

    async def _proof(self, query: _Held | None, image: _Held | None) -> Proof | None:
        if not query or not image:
            return None
        async with self._places:
            return await self._threads.run(partial(verification.verify_stored, query.side, image.side))

    async def _held(self, images: Iterable[int]) -> dict[int, _Held]:
        """Return the fingerprints of the images that have one."""
        async with self._source.reading() as (connection, project, _):
            rows = await connection.fetch(statement("fingerprint_read", project.id, key="id"), list(set(images)), NAME)
        return {row["image_id"]: _Held(row["sha256"], Fingerprint(row["picture"], row["keypoints"])) for row in rows}


def _by_hash(held: dict[int, _Held], pair: Pair) -> Pair:
    one, other = pair
    if one in held and other in held and held[other].sha256 < held[one].sha256:
        return other, one
    return pair
