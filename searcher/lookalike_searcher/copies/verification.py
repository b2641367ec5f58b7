"""Compare the fingerprints of a query and an image, and say what they prove."""

import logging
from collections.abc import Callable, Iterator
from typing import Final

from lookalike_searcher.copies import alignment, evidence, overlay
from lookalike_searcher.copies.alignment import Alignment
from lookalike_searcher.copies.frames import Frames
from lookalike_searcher.copies.matching import match
from lookalike_searcher.copies.overlay import Overlay
from lookalike_searcher.copies.proof import SIMILAR, TOO_LITTLE, Kind, Proof
from lookalike_searcher.copies.sides import Side

logger = logging.getLogger(__name__)

_FEW_KEYPOINTS: Final = 16
"""A picture that has fewer keypoints shows too little to be told from others: two lamps of one outline, say."""
_LEAST_CONFIDENCE: Final = 0.5
_PLAIN_INLIERS: Final = 15
"""A picture that agrees in so many places is looked at before its mirror image is."""


def verify(query: Side, image: Side) -> Proof:
    """Return what is proven about the query's picture and the image's.

    Raises:
        InvalidPicture: one of the small pictures is broken.
    """
    if min(len(query.keypoints), len(image.keypoints)) < _FEW_KEYPOINTS:
        return TOO_LITTLE
    for found, mirrored in _alignments(query, image):
        seen = query.seen.mirrored if mirrored else query.seen
        laid = overlay.lay(seen, image.seen, found.affine)
        if laid:
            confidence = evidence.confidence(evidence.agreement(laid), found.inliers)
            if confidence >= _LEAST_CONFIDENCE:
                frames = Frames(seen, image.seen, found.affine, mirrored=mirrored)
                return _proof(frames, found, laid, confidence, mirrored=mirrored)
    return SIMILAR


def verify_stored(query: Callable[[], Side], image: Callable[[], Side]) -> Proof | None:
    """Return what is proven; None if a stored fingerprint is broken, which fails neither a search nor other pairs."""
    try:
        return verify(query(), image())
    except Exception:
        logger.exception("a stored fingerprint could not be compared")
        return None


def _alignments(query: Side, image: Side) -> Iterator[tuple[Alignment, bool]]:
    """Yield the alignments of the query and of its mirror image, the better one first, and whether it is the mirror's.

    One in many places comes at once. It may prove nothing all the same: what is symmetric, as clothes are, agrees with
    its own mirror image in many places.
    """
    plain = alignment.align(match(query.keypoints, image.keypoints))
    if plain and plain.inliers >= _PLAIN_INLIERS:
        yield plain, False
        plain = None
    mirrored = alignment.align(match(query.mirrored, image.keypoints))
    if mirrored and (not plain or mirrored.inliers > plain.inliers):
        yield mirrored, True
    elif plain:
        yield plain, False


def _proof(frames: Frames, found: Alignment, laid: Overlay, confidence: float, *, mirrored: bool) -> Proof:
    differs = evidence.differing(laid)
    covered, (colours, recoloured) = evidence.covered(laid, differs), evidence.colour_distance(laid, differs)
    turned = alignment.turn(found.affine)
    return Proof(
        kind=Kind.RECOLOURED if recoloured else Kind.NEAR_DUPLICATE,
        confidence=confidence,
        inliers=found.inliers,
        of_query=frames.of_query,
        of_image=frames.of_image,
        mirrored=mirrored,
        turned=-turned if mirrored else turned,
        stretched=alignment.stretch(found.affine),
        corners_in_query=frames.corners_in_query,
        corners_in_image=frames.corners_in_image,
        recoloured=colours,
        covered=None if covered is None else frames.region(covered, in_query=laid.in_one),
    )
