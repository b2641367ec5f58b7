"""Find all near pairs of a project, verify them, the most similar ones first, and cluster what they connect."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike_searcher.copies.proof import Kind, Proof
from lookalike_searcher.database.statement import statement
from lookalike_searcher.duplicates import dismissals
from lookalike_searcher.duplicates.candidates import Candidates
from lookalike_searcher.duplicates.clustering import Clusters
from lookalike_searcher.duplicates.neighbours import TOLERANCE, Neighbours, Pairs
from lookalike_searcher.duplicates.proofs import Proofs
from lookalike_searcher.duplicates.query import DuplicateQuery
from lookalike_searcher.duplicates.verification import PairVerifier
from lookalike_searcher.projects.space_reader import SpaceReader

MAX_PAIRS: Final = 1_000_000
"""So many pairs are kept, of 20 bytes each; docs and proto say so."""
MAX_VERIFIED: Final = 200_000
"""So many pairs are compared in one survey: some minutes' work of two threads."""
MAX_FAILED: Final = 32
"""An image is compared so often in vain: shots of one series are all alike, and all pairs of a thousand are half a
million."""
_BATCH: Final = 128
"""So many pairs are compared in one step, of which the fingerprints take a megabyte or two."""
_DECIDED: Final = 10_000
"""So many pairs are decided in one step without a comparison, which takes some hundredths of a second."""
_READ: Final = 10_000
"""The ids of so many images are read at a time."""
_DIGITS: Final = 5
"""Cosines that differ by less differ by rounding; then the hashes say which pair comes first."""

Candidate = tuple[int, int, float]


@dataclass
class Counts:
    """The counts say what became of the near pairs. Others were not needed: their images are in one cluster already."""

    near: int = 0
    verified: int = 0
    proven: int = 0
    recoloured: int = 0
    by_cosine: int = 0
    unverified: int = 0
    dismissed: int = 0


class Survey:
    """The survey is made step by step. A step that is cancelled is made again, so it may be left and taken up again.

    Args:
        query: what is asked.
        source: reads the project.
        neighbours: finds near images.
        verifier: compares pairs.
        at_once: the pairs of so many images are found in one step.
    """

    def __init__(
        self, query: DuplicateQuery, source: SpaceReader, neighbours: Neighbours, verifier: PairVerifier, at_once: int
    ) -> None:
        self.query = query
        self.source = source
        self.examined = 0
        self.counts = Counts()
        self.clusters = Clusters()
        self.proofs = Proofs()
        self.groups: list[list[int]] | None = None
        """The ids of each cluster's images, once the survey is done. A file in several places may be one by itself."""
        self._neighbours = neighbours
        self._verifier = verifier
        self._at_once = at_once
        self._after = 0
        self._used: list[int] = []
        self._candidates = Candidates(MAX_PAIRS, by_cosine=not query.verify)
        self._pairs: Iterator[Candidate] | None = None
        self._put_off: deque[Candidate] = deque()
        self._failed: Counter[int] = Counter()
        self._is_found = self._is_clustered = False

    async def step(self) -> None:
        """Do some seconds' work at most.

        Raises:
            NotFound: the project or the space has been deleted.
        """
        if not self._is_found:
            await self._find()
        elif self._pairs is None:
            await self._begin_to_cluster()
        elif batch := self._next_batch():
            await self._verify(batch)
        elif not self._is_clustered:
            await asyncio.sleep(0)  # others have their turn
        else:
            alone = ([image] for image in self._used if image not in self.clusters.fellows)
            self.groups = sorted([*self.clusters.groups(), *alone])

    async def _find(self) -> None:
        """Find the near pairs of the next images."""
        seeds, used, after, examined, is_last = await self._next_images()
        if seeds:
            later_only = self.query.scope.is_symmetric
            async with aclosing(self._neighbours.pairs(seeds, later_only=later_only)) as found:
                async for pairs in found:
                    await self._add(pairs)
        self._used += used
        self._after, self.examined, self._is_found = after, self.examined + examined, is_last
        self.counts.near, self.counts.unverified = self._candidates.count, self._candidates.left_out

    async def _next_images(self) -> tuple[list[int], list[int], int, int, bool]:
        """Return which images are next, those used in several places, the last id, how many, whether that is all."""
        seeds: list[int] = []
        used: list[int] = []
        after, examined, scope = self._after, 0, self.query.scope
        while len(seeds) < self._at_once:
            async with self.source.reading() as (connection, project, _):
                size = min(_READ, self._at_once - len(seeds))
                ids, among = await scope.seeds(connection, project.id, after, size)
                if ids:
                    used += await scope.used(connection, project.id, ids[0], ids[-1])
            seeds += among
            examined += len(ids)
            after = ids[-1] if ids else after
            if len(ids) < size:
                return seeds, used, after, examined, True
        return seeds, used, after, examined, False

    async def _add(self, pairs: Pairs) -> None:
        if not self.query.scope.is_all:
            async with self.source.reading() as (connection, project, _):
                pairs = await self.query.scope.chosen(connection, project.id, pairs)
        await asyncio.to_thread(self._candidates.add, pairs)

    async def _begin_to_cluster(self) -> None:
        """Order the pairs, the most similar first, so that nothing depends on the order of the images."""
        pairs = await asyncio.to_thread(self._candidates.pairs)
        self.counts.near, self.counts.unverified = self._candidates.count, self._candidates.left_out
        hashes: dict[int, bytes] = {}
        ids = np.unique(np.concatenate((pairs.ones, pairs.others))).tolist()
        async with self.source.reading() as (connection, project, _):
            for start in range(0, len(ids), _READ):
                sql = statement("duplicate_hashes", project.id)
                hashes |= {row["id"]: row["sha256"] for row in await connection.fetch(sql, ids[start : start + _READ])}
            self.clusters = Clusters(await dismissals.stored(connection, project))
        self._pairs = _each(await asyncio.to_thread(_ordered, pairs, hashes))
        self._candidates = Candidates(0, by_cosine=True)  # they are not needed any more

    def _next_batch(self) -> list[Candidate]:
        """Return the next pairs that are to be compared, after deciding what needs no comparison.

        A pair whose images may be connected by another of the same batch is put off until that is known.
        """
        batch: list[Candidate] = []
        maybe, waiting, self._put_off = Clusters(), self._put_off, deque()
        self._is_clustered = False
        for _ in range(_DECIDED):
            if len(batch) == _BATCH:
                break
            candidate = waiting.popleft() if waiting else next(self._pairs or iter(()), None)
            if candidate is None:
                self._is_clustered = True
                break
            if self._must_be_compared(*candidate):
                one, other = self.clusters.root(candidate[0]), self.clusters.root(candidate[1])
                if one != other and maybe.root(one) == maybe.root(other):
                    self._put_off.append(candidate)
                else:
                    maybe.join(one, other, candidate[2])
                    batch.append(candidate)
        self._put_off.extend(waiting)
        return batch

    def _must_be_compared(self, one: int, other: int, cosine: float) -> bool:
        """Decide on a pair if its fingerprints are not needed; return whether they are."""
        if self.clusters.are_settled(one, other, cosine):
            return False
        if self.clusters.are_apart(one, other):
            self.counts.dismissed += 1
        elif not self.query.verify:
            self._decide(one, other, cosine, None)
        elif self.counts.verified >= MAX_VERIFIED or max(self._failed[one], self._failed[other]) >= MAX_FAILED:
            self.counts.unverified += 1
        else:
            return True
        return False

    async def _verify(self, batch: Sequence[Candidate]) -> None:
        try:
            proofs = await self._verifier.proofs([(one, other) for one, other, _ in batch])
        except BaseException:  # also where the step is cancelled
            self._put_off.extendleft(reversed(batch))
            raise
        for candidate, proof in zip(batch, proofs, strict=True):
            self._decide(*candidate, proof)

    def _decide(self, one: int, other: int, cosine: float, proof: Proof | None) -> None:
        """Join the pair if it is one of duplicates, by what its fingerprints showed, or by the cosine."""
        kind = proof.kind if proof else None
        if kind is None or kind is Kind.TOO_LITTLE:
            self.counts.by_cosine += 1
            is_duplicate = cosine >= self.query.least_by_cosine - TOLERANCE
        else:
            self.counts.verified += 1
            self.counts.proven += kind is Kind.NEAR_DUPLICATE
            self.counts.recoloured += kind is Kind.RECOLOURED
            is_duplicate = kind is Kind.NEAR_DUPLICATE or (kind is Kind.RECOLOURED and self.query.recoloured)
            self._failed.update(() if is_duplicate else (one, other))
        if is_duplicate and self.clusters.are_apart(one, other):
            self.counts.dismissed += 1
        elif is_duplicate:
            self.clusters.join(one, other, cosine, kind)
            if proof and proof.is_copy and self.clusters.are_fellows(one, other):
                self.proofs.keep(one, other, proof)


def _ordered(pairs: Pairs, hashes: Mapping[int, bytes]) -> Pairs:
    """Return the pairs of images that still exist, the most similar ones first; equal ones in order of their hashes."""
    ids = np.array(sorted(hashes), np.int64)
    ranks = np.empty(len(ids), np.int64)
    ranks[sorted(range(len(ids)), key=lambda place: hashes[int(ids[place])])] = np.arange(len(ids))
    pairs = pairs[np.isin(pairs.ones, ids) & np.isin(pairs.others, ids)]
    ones, others = (ranks[np.searchsorted(ids, images)] for images in (pairs.ones, pairs.others))
    first, second = np.minimum(ones, others), np.maximum(ones, others)
    return pairs[np.lexsort((second, first, -np.round(pairs.cosines, _DIGITS)))]


def _each(pairs: Pairs) -> Iterator[Candidate]:
    for start in range(0, len(pairs), _READ):
        part = pairs[slice(start, start + _READ)]
        yield from zip(part.ones.tolist(), part.others.tolist(), part.cosines.tolist(), strict=True)
