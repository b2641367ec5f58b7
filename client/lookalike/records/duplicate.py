"""These records are about duplicates inside a project."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lookalike.records.image import Image
from lookalike.records.proof import MatchBasis, Proof
from lookalike.records.search import Match


class KeepRule(StrEnum):
    """The rule says which image of a cluster is suggested to be kept.

    Where two are equal, the other rules decide, in this order, then the hash.
    """

    LARGEST = "largest"
    """The one with most pixels; of those, the one with most bytes."""
    OLDEST = "oldest"
    """The one that was first indexed first."""
    MOST_USED = "most-used"
    """The one with most references."""


@dataclass(frozen=True)
class PairCounts:
    """The counts say what became of the pairs of images at or above the least similarity.

    Those that are not counted below were not needed: both images are in one cluster, and each has a fellow there that
    is at least as near.

    Attributes:
        near_count: how many there are.
        verified_count: how many were verified: their fingerprints were compared.
        proven_count: how many of these were proven to be copies.
        recoloured_count: how many of these were proven to be the same photo in other colours.
        cosine_count: how many the cosine told, as it was not to be verified, or one of the two has no fingerprint or
            shows too little.
        unverified_count: how many should have been verified and were not, as there are limits. They count as no
            duplicates.
        dismissed_count: how many would have put images in one cluster that were dismissed.
    """

    near_count: int = 0
    verified_count: int = 0
    proven_count: int = 0
    recoloured_count: int = 0
    cosine_count: int = 0
    unverified_count: int = 0
    dismissed_count: int = 0


@dataclass(frozen=True)
class DuplicateProgress:
    """The progress is how far a search for duplicates has come.

    Attributes:
        examined_count: how many images were examined since the beginning. Once these are all, pairs are verified.
        image_count: how many there are.
        resume_token: where to go on, if it ends here.
        pairs: what became of the pairs so far.
    """

    examined_count: int
    image_count: int
    resume_token: str
    pairs: PairCounts = PairCounts()


@dataclass(frozen=True)
class DuplicateImage:
    """A cluster's image has a nearest fellow there: of those it is a duplicate of, the one with the highest cosine.

    Attributes:
        image: the image.
        similarity: the cosine to the nearest fellow, in [-1, 1]; 1 for an image that is a cluster by itself.
        nearest_sha256: the nearest fellow's hash; empty for an image that is a cluster by itself.
        match: what the image is to its nearest fellow; EXACT for an image that is a cluster by itself.
        match_basis: how that was found out.
        proof: what was done to the nearest fellow (the proof's image) so that it became this image (the proof's query);
            None unless that was proven.
        product_count: how many different products show the image.
    """

    image: Image
    similarity: float
    nearest_sha256: str = ""
    match: Match = Match.SIMILAR
    match_basis: MatchBasis = MatchBasis.OTHER
    proof: Proof | None = None
    product_count: int = 0


@dataclass(frozen=True)
class DuplicateCluster:
    """A cluster is images that are duplicates of one another, or one image that is used in several places.

    Attributes:
        images: first the one that is suggested to be kept, then by similarity to the nearest fellow: at most 1,000.
        image_count: how many the cluster has.
        progress: how far the search had come with it.
        keep: the rule by which the first image is suggested.
    """

    images: tuple[DuplicateImage, ...]
    image_count: int
    progress: DuplicateProgress
    keep: KeepRule = KeepRule.LARGEST


@dataclass(frozen=True)
class MergeResult:
    """The result says what merging duplicates changed, or would change.

    Attributes:
        moved_reference_count: how many references were moved to the image that is kept.
        deleted_image_count: how many images were deleted.
    """

    moved_reference_count: int
    deleted_image_count: int


@dataclass(frozen=True)
class Dismissal:
    """A dismissal says of two images that they are no duplicates of one another.

    Attributes:
        sha256: the hash of the one, in hexadecimal, the lower one.
        other_sha256: the hash of the other.
        create_time: when that was said.
    """

    sha256: str
    other_sha256: str
    create_time: datetime


@dataclass(frozen=True)
class DismissalPage:
    """A page holds some of a project's dismissals, and says where the next page begins: empty on the last one."""

    dismissals: tuple[Dismissal, ...]
    next_page_token: str
