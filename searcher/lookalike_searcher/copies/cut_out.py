"""Find the rectangle of a photo that was cut out and pasted into another picture, which hides the rest."""

from typing import Final

import cv2
import numpy as np

from lookalike_searcher.copies import evidence
from lookalike_searcher.copies.overlay import Overlay

_LEAST_SHARE: Final = 0.35
"""The rectangle is at least so much of what both pictures cover: a logo or a banner on two products is less."""
_AGREES: Final = 0.5
_SPOT: Final = np.ones((3, 3), np.uint8)
_GAP: Final = np.ones((15, 15), np.uint8)
"""What is plain, or covered, in the midst of what agrees is no wider than that."""


def cut_out(laid: Overlay) -> Overlay | None:
    """Return what is seen in the rectangle around the largest region that agrees; None if that is small."""
    agrees = (evidence.agreeing(laid) >= _AGREES) & (laid.texture > evidence.DETAIL) & laid.common
    dense = cv2.morphologyEx(agrees.astype(np.uint8), cv2.MORPH_OPEN, _SPOT)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(dense, cv2.MORPH_CLOSE, _GAP))
    regions = np.asarray(statistics)[1:]  # the first is what does not agree
    if not len(regions):
        return None
    left, top, width, height, _ = regions[regions[:, cv2.CC_STAT_AREA].argmax()]
    part = np.zeros_like(laid.common)
    part[top : top + height, left : left + width] = True
    return laid.within(part) if (part & laid.common).sum() >= _LEAST_SHARE * laid.common.sum() else None
