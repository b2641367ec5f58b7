"""These records say what proves that two pictures are the same photo."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Point:
    """A point is a place in a picture, in shares of its sides from the upper left corner; it may lie outside."""

    x: float
    y: float


@dataclass(frozen=True)
class Region:
    """A region is a part of a picture, in shares of its sides from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


class MatchBasis(StrEnum):
    """The basis of a match says how it was found out."""

    FILE = "file"
    """By the hash of the file: it is the query's own."""
    COSINE = "cosine"
    """By the cosine alone: it was not asked to be verified, or query or image have no fingerprint."""
    FINGERPRINT = "fingerprint"
    """By both fingerprints, laid over each other."""
    TOO_LITTLE = "too-little"
    """By the cosine, as one of the fingerprints shows too little to tell."""
    OTHER = "other"
    """In a way that is newer than this library, or by the cosine alone: the searcher is older."""


@dataclass(frozen=True)
class Proof:
    """A proof says that two pictures are the same photo, and what made the query's picture of the image.

    Attributes:
        confidence: how sure that is, in [0, 1].
        overlap: the share that both show, of the one that shows less, in [0, 1].
        of_query: the share of the query that shows the image.
        of_image: the share of the image that the query shows.
        mirrored: whether it was mirrored, left to right, before it was turned.
        turned: by how many degrees it was turned, clockwise, -180 to 180.
        stretched: how much longer it became in one direction than in the other: 1 for not at all.
        corners_in_query: where the image's corners lie in the query, from the upper left one clockwise.
        corners_in_image: where the query's corners lie in the image.
        recoloured: the mean distance of the colours, in a and b of CIELAB; up to 3 by compression alone.
        covered: the largest part of the query that shows something else than the image; None where there is none.
        inliers: how many keypoints lie where they should.
        bordered: whether the query shows more than the image: a border, or what it was pasted into.
        cropped: whether the query shows less than the image.
    """

    confidence: float
    overlap: float
    of_query: float
    of_image: float
    mirrored: bool
    turned: float
    stretched: float
    corners_in_query: tuple[Point, ...]
    corners_in_image: tuple[Point, ...]
    recoloured: float
    covered: Region | None
    inliers: int
    bordered: bool
    cropped: bool
