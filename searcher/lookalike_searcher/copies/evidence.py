"""Judge what an overlay shows: is it the same photo, in which colours, and what is covered."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike_searcher.copies.overlay import Mask, Overlay, Plane

_RECOLOURED: Final = 4.5
_OF_CHROMA: Final = 0.4
"""From this distance of colours on, and from this share of how colourful the photo is, it counts as recoloured.

Compression reaches 4 and, as brightness and contrast change all colours alike, these reach a quarter of the chroma.
Warmer colours reach half of it, and colours that are gone, or turned on the wheel by 60 degrees, all of it."""
_TURNED: Final = math.radians(25)
_COHERENT: Final = 0.5
"""Colours that are turned by so much on the wheel, as one, are others, however faint. Compression turns them by up to
14 degrees, on average over the picture."""
_SMOOTH: Final = 1.5
"""Compression keeps colours coarsely, so that they are compared coarsely, in pixels."""
_NEARLY_ALIKE: Final = 0.88
_ALIKE: Final = 0.96
"""Local likeness from where on detail counts, and from where on it counts in full."""
_COMPRESSION: Final = 25.0
"""Detail of this variance, in levels, is but half as alike in a copy, as compression adds noise to it."""
_LEAST: Final = 1e-6
_AGREED: Final = 0.48
_AGREED_BY_HAND: Final = 0.6
"""What does not lie upright must agree in more: a thing that was moved between two shots covers as much as a sticker
does, but no hand holds a camera as upright as programs lay pictures."""
_STEEPNESS: Final = 40.0
_ENOUGH_INLIERS: Final = 10
_WEIGHT_OF_FEWER: Final = 6.0
"""The logistic curve of the confidence: where this share agrees, and so many inliers, it is one half. Of fewer inliers,
more must agree: of four, 0.62."""
_MOST_COVERED: Final = 0.35
"""A sticker on a fifth of a photo covers up to a third of what both show. Two shots between which a thing was moved
mostly differ in more than that. Lighter or darker alone does not count: strong contrast changes half of a picture."""
_UNLIKE: Final = 0.5
DETAIL: Final = 4.0
_OTHER_LIGHTNESS: Final = 20.0
"""Of the 100 levels of CIELAB."""
_LEAST_COVERED: Final = 0.02
_SPOT: Final = np.ones((5, 5), np.uint8)
_SURROUNDINGS: Final = np.ones((9, 9), np.uint8)


def agreement(overlay: Overlay) -> float:
    """Return the share of detail that agrees in both pictures, with that counted in part which agrees nearly.

    In a copy, that is most of it. In two shots of a scene it is much less, as what is near has moved against what is
    far, so that they agree only here and there. What is plain in one of them, as it is covered, says little.
    """
    shared = overlay.shared[overlay.common]
    return float((shared * agreeing(overlay)[overlay.common]).sum() / max(shared.sum(), DETAIL))


def agreeing(overlay: Overlay) -> Plane:
    """Return how far the detail around each pixel agrees, from 0 to 1, with compression allowed for."""
    variance = overlay.shared * overlay.shared
    of_copy = np.maximum(variance / (variance + _COMPRESSION), _LEAST)
    return np.asarray(np.interp(overlay.likeness / of_copy, (_NEARLY_ALIKE, _ALIKE), (0, 1)), np.float32)


def confidence(agreed: float, inliers: int, *, by_hand: bool) -> float:
    """Return how likely it is that both are the same photo."""
    fewer = min(0.0, math.log(inliers / _ENOUGH_INLIERS))
    beyond = agreed - (_AGREED_BY_HAND if by_hand else _AGREED)
    return 1 / (1 + math.exp(-_STEEPNESS * beyond - _WEIGHT_OF_FEWER * fewer))


def differing(overlay: Overlay) -> Mask:
    """Return where the two show something else: lighter, darker, or of other detail. Single pixels do not count."""
    lighter = overlay.one[..., 0] - overlay.other[..., 0]
    other_light = np.abs(lighter - np.median(lighter[overlay.common])) > _OTHER_LIGHTNESS
    return _without_pixels((other_light | _other_detail(overlay)) & overlay.common)


def was_moved(overlay: Overlay) -> bool:
    """Return whether one region of other detail is so large that a thing was moved between two shots."""
    region = covered(overlay, _without_pixels(_other_detail(overlay) & overlay.common))
    return region is not None and bool(region.sum() > _MOST_COVERED * overlay.common.sum())


def covered(overlay: Overlay, differs: Mask) -> Mask | None:
    """Return the largest region that differs; None where it is small."""
    _, regions, statistics, _ = cv2.connectedComponentsWithStats(differs.astype(np.uint8))
    areas = np.asarray(statistics)[1:, cv2.CC_STAT_AREA]  # the first is what does not differ
    if not len(areas) or areas.max() < _LEAST_COVERED * overlay.common.sum():
        return None
    return np.asarray(np.asarray(regions) == 1 + areas.argmax(), np.bool_)


def colour_distance(overlay: Overlay, differs: Mask) -> tuple[float, bool]:
    """Return how far the colours lie apart on average, whatever the lightness, and whether that is a recolouring.

    Only what both show alike counts: not a sticker, and not what is near it. Every fourth pixel will do.
    """
    near = np.asarray(cv2.dilate(differs.astype(np.uint8), _SURROUNDINGS), np.bool_)
    seen = (overlay.common & ~near)[::2, ::2]
    if not seen.any():
        return 0.0, False
    one, other = overlay.one[::2, ::2, 1:][seen], overlay.other[::2, ::2, 1:][seen]
    apart, *chromas = (float(np.hypot(ab[:, 0], ab[:, 1]).mean()) for ab in (one - other, one, other))
    return apart, apart >= max(_RECOLOURED, _OF_CHROMA * max(chromas)) or _is_turned(overlay, seen)


def _other_detail(overlay: Overlay) -> Mask:
    return np.asarray((overlay.likeness < _UNLIKE) & (overlay.texture > DETAIL), np.bool_)


def _without_pixels(mask: Mask) -> Mask:
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _SPOT), np.bool_)


def _is_turned(overlay: Overlay, seen: Mask) -> bool:
    """Return whether the colours of one picture are those of the other turned on the wheel.

    In place of a and b there are complex numbers: the correlation of both pictures' has the angle of the turn. The more
    colour there is at a place, the more it counts, so that a black thing on a warm floor is judged by the floor.
    """
    one, other = (_smooth_colours(lab)[seen] for lab in (overlay.one, overlay.other))
    together = np.vdot(other, one)
    coherence = abs(together) / max(float(np.linalg.norm(one) * np.linalg.norm(other)), _LEAST)
    return bool(coherence >= _COHERENT and abs(np.angle(together)) >= _TURNED)


def _smooth_colours(lab: Plane) -> NDArray[np.complex64]:
    smooth = np.asarray(cv2.GaussianBlur(lab[..., 1:], (0, 0), _SMOOTH))[::2, ::2]
    return np.asarray(smooth[..., 0] + 1j * smooth[..., 1], np.complex64)
