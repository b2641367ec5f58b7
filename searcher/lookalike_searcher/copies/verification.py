"""Compare the fingerprints of a query and an image, and say what they prove."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Self

from lookalike_searcher.copies import alignment, evidence, overlay
from lookalike_searcher.copies.alignment import Alignment
from lookalike_searcher.copies.continuation import goes_on
from lookalike_searcher.copies.cut_out import cut_out
from lookalike_searcher.copies.fill import without_fills
from lookalike_searcher.copies.frames import Frames
from lookalike_searcher.copies.matching import match
from lookalike_searcher.copies.overlay import Overlay, Seen
from lookalike_searcher.copies.perspective import PerspectiveAlignment, in_perspective
from lookalike_searcher.copies.proof import SIMILAR, TOO_LITTLE, Kind, Proof
from lookalike_searcher.copies.sides import Side

logger = logging.getLogger(__name__)

_FEW_KEYPOINTS: Final = 16
"""A picture that has fewer keypoints shows too little to be told from others: two lamps of one outline, say."""
_LEAST_CONFIDENCE: Final = 0.5
_PLAINLY_AGREED: Final = 0.9
"""Of a copy that nothing covers, at least so much detail agrees."""
_DOUBTFUL: Final = 0.3
_PLAIN_INLIERS: Final = 15
"""A picture that agrees in so many places is looked at before its mirror image is."""


@dataclass(frozen=True, eq=False)
class _Judged:
    """An overlay with what it shows.

    Attributes:
        agreed: the share of detail that agrees.
    """

    found: Alignment
    laid: Overlay
    agreed: float
    confidence: float

    @classmethod
    def of(cls, found: Alignment, laid: Overlay) -> Self:
        """Return the overlay with what it shows."""
        agreed = evidence.agreement(laid)
        return cls(found, laid, agreed, evidence.confidence(agreed, found.inliers, by_hand=not _is_by_program(found)))

    @property
    def is_one_photo(self) -> bool:
        """Return whether both are likely to be the same photo, and nothing was moved in between."""
        return self.confidence >= _LEAST_CONFIDENCE and not evidence.was_moved(self.laid)


def verify(query: Side, image: Side) -> Proof:
    """Return what is proven about the query's picture and the image's.

    Raises:
        InvalidPicture: one of the small pictures is broken.
    """
    if min(len(query.keypoints), len(image.keypoints)) < _FEW_KEYPOINTS:
        return TOO_LITTLE
    for found, mirrored in _alignments(query, image):
        seen = query.seen.mirrored if mirrored else query.seen
        judged = _judged(seen, image.seen, found)
        if judged and judged.is_one_photo:
            return _proof(Frames(seen, image.seen, judged.found, mirrored=mirrored), judged, mirrored=mirrored)
    return SIMILAR


def verify_stored(query: Callable[[], Side], image: Callable[[], Side]) -> Proof | None:
    """Return what is proven; None if a stored fingerprint is broken, which fails neither a search nor other pairs."""
    try:
        return verify(query(), image())
    except Exception:
        logger.exception("a stored fingerprint could not be compared")
        return None


def _alignments(query: Side, image: Side) -> Iterator[tuple[Alignment, bool]]:
    """Yield the alignment of the query, or of its mirror image if that agrees in more places, and which of them it is.

    The query's comes at once where it agrees in many places, and the mirror image's only after it. It may prove nothing
    all the same: what is symmetric, as clothes are, agrees with its own mirror image in many places.
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


def _judged(query: Seen, image: Seen, found: Alignment) -> _Judged | None:
    """Return what is seen when the image is laid over the query, in perspective if that fits better."""
    plain = _laid(query, image, found)
    if plain and plain.agreed >= _PLAINLY_AGREED:
        return plain
    bent = in_perspective(found)
    slanted = _laid(query, image, bent) if bent else None
    if plain and slanted:
        return max(plain, slanted, key=lambda judged: judged.confidence)
    return plain or slanted


def _laid(query: Seen, image: Seen, found: Alignment) -> _Judged | None:
    """Return what is seen; None if that is another shot, or next to nothing.

    Two crops of a third picture go on beyond one another too. No hand holds a camera as upright as programs cut.
    """
    another_shot = goes_on(query, image, found)
    by_program = _is_by_program(found)
    if another_shot and not by_program:
        return None
    laid = overlay.lay(query, image, found)
    if not laid:
        return None
    whole = _beside_fills(_Judged.of(found, laid))
    if whole.agreed >= _PLAINLY_AGREED or not by_program:
        return whole
    part = cut_out(laid)
    cut = part and _Judged.of(found, part)
    if cut and cut.agreed >= _PLAINLY_AGREED:
        return cut
    return None if another_shot else whole


def _beside_fills(judged: _Judged) -> _Judged:
    """Return what is seen beside fills, if that agrees better. Where next to nothing agrees, no fill is to blame."""
    if not _DOUBTFUL <= judged.agreed < _PLAINLY_AGREED:
        return judged
    beside = without_fills(judged.laid)
    return max(judged, _Judged.of(judged.found, beside), key=lambda one: one.confidence) if beside else judged


def _is_by_program(found: Alignment) -> bool:
    return not isinstance(found, PerspectiveAlignment) and alignment.is_upright(found)


def _proof(frames: Frames, judged: _Judged, *, mirrored: bool) -> Proof:
    found, laid = judged.found, judged.laid
    differs = evidence.differing(laid)
    covered, (colours, recoloured) = evidence.covered(laid, differs), evidence.colour_distance(laid, differs)
    turned = alignment.turn(found.affine)
    of_query, of_image = frames.shares(inverse=False)
    regions = (None, None) if covered is None else frames.regions(covered, in_query=laid.in_one)
    return Proof(
        kind=Kind.RECOLOURED if recoloured else Kind.NEAR_DUPLICATE,
        confidence=judged.confidence,
        inliers=found.inliers,
        of_query=of_query,
        of_image=of_image,
        mirrored=mirrored,
        turned=-turned if mirrored else turned,
        stretched=alignment.stretch(found.affine),
        corners_in_query=frames.corners_in_query,
        corners_in_image=frames.corners_in_image,
        recoloured=colours,
        covered=regions[0],
        covered_in_image=regions[1],
        inverse_shares=frames.shares(inverse=True),
    )
