"""Read clusters from the database, once the ids of their images are known."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lookalike_searcher.copies.proof import Kind, Proof
from lookalike_searcher.database.statement import statement
from lookalike_searcher.duplicates.clustering import Fellow
from lookalike_searcher.duplicates.keep_rule import KeepRule, Worth
from lookalike_searcher.duplicates.proofs import Proofs
from lookalike_searcher.duplicates.verification import Pair, PairVerifier
from lookalike_searcher.images import reading
from lookalike_searcher.images.image import Image
from lookalike_searcher.projects.space_reader import SpaceReader

LISTED_IMAGES: Final = 1_000
"""A cluster lists so many images at most, and says how many it has."""
_PROVEN: Final = (Kind.NEAR_DUPLICATE, Kind.RECOLOURED)


@dataclass(frozen=True)
class Member:
    """A member is an image of a cluster, with its nearest fellow there; an image by itself has none.

    Attributes:
        nearest: the hash of the nearest fellow; empty if there is none, or it has been deleted.
        proof: what was done to the nearest fellow so that it became this image, if that is proven.
    """

    image: Image
    product_count: int
    fellow: Fellow | None
    nearest: bytes
    proof: Proof | None


@dataclass(frozen=True)
class Cluster:
    """A cluster has the image first that is suggested to be kept, then the most similar ones. It counts them all."""

    members: list[Member]
    image_count: int
    keep: KeepRule


class ClusterReader:
    """The reader reads clusters as they are now.

    Args:
        source: reads the project.
        verifier: proves what was done to images.
        keep: by which rule an image is suggested to be kept.
    """

    def __init__(self, source: SpaceReader, verifier: PairVerifier, keep: KeepRule) -> None:
        self._source = source
        self._verifier = verifier
        self._keep = keep

    async def read(
        self, groups: Sequence[Sequence[int]], fellows: Mapping[int, Fellow], proven: Proofs
    ) -> list[Cluster | None]:
        """Return the clusters with these images; None for a cluster that has too few images left.

        Args:
            groups: the ids of each cluster's images.
            fellows: their nearest fellows.
            proven: the proofs that need not be made.

        Raises:
            NotFound: the project or the space has been deleted.
        """
        ids = [image for group in groups for image in group]
        async with self._source.reading() as (connection, project, _):
            rows = await connection.fetch(statement("duplicate_members", project.id), ids)
            worths = {row["id"]: Worth(**row) for row in rows}
            listings = [self._listed(group, fellows, worths) for group in groups]
            listed = [worth.id for listing in listings for worth in listing]
            images = {image.id: image for image in await reading.of_ids(connection, project, listed)}
        proven_pairs = [(image, fellows[image].image_id) for image in listed if _is_proven(fellows.get(image), worths)]
        proofs = await self._proofs(proven_pairs, proven)
        clusters: list[Cluster | None] = []
        for group, listing in zip(groups, listings, strict=True):
            members = [
                Member(
                    images[worth.id],
                    worth.product_count,
                    fellow := fellows.get(worth.id),
                    worths[fellow.image_id].sha256 if fellow and fellow.image_id in worths else b"",
                    proofs.get(worth.id),
                )
                for worth in listing
                if worth.id in images
            ]
            count = sum(image in worths for image in group)
            clusters.append(Cluster(members, count, self._keep) if _is_left(group, members) else None)
        return clusters

    def _listed(self, group: Iterable[int], fellows: Mapping[int, Fellow], worths: Mapping[int, Worth]) -> list[Worth]:
        """Return the images that the cluster lists: the one to keep, then those that are most similar to a fellow."""
        present = [worths[image] for image in group if image in worths]
        if not present:
            return []
        first = min(present, key=lambda worth: worth.place(self._keep))
        others = (worth for worth in present if worth is not first)
        return [first, *sorted(others, key=lambda worth: (-fellows[worth.id].cosine, worth.sha256))][:LISTED_IMAGES]

    async def _proofs(self, pairs: Iterable[Pair], proven: Proofs) -> dict[int, Proof]:
        """Return what was done to the second image of each pair so that it became the first, by that one's id."""
        proofs: dict[int, Proof] = {}
        unknown: list[Pair] = []
        for pair in pairs:
            if proof := proven.of(*pair):
                proofs[pair[0]] = proof
            else:
                unknown.append(pair)
        for start in range(0, len(unknown), _AT_ONCE):
            part = unknown[start : start + _AT_ONCE]
            for (image, _), made in zip(part, await self._verifier.proofs(part), strict=True):
                if made and made.is_copy:
                    proofs[image] = made
        return proofs


_AT_ONCE: Final = 128
"""So many pairs are proven at a time, as their fingerprints take a megabyte or two."""


def _is_proven(fellow: Fellow | None, present: Container[int]) -> bool:
    return fellow is not None and fellow.kind in _PROVEN and fellow.image_id in present


def _is_left(group: Sequence[int], members: Sequence[Member]) -> bool:
    """Return whether there is a cluster still: several images, or one that is used in several places."""
    if len(group) > 1:
        return len(members) > 1
    return bool(members) and members[0].image.reference_count > 1
