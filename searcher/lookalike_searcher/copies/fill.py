"""Leave out what one colour fills from the edge on, as the corners of a turned picture: a frame of any shape."""

from typing import Final

import cv2
import numpy as np

from lookalike_searcher.copies.overlay import Mask, Overlay, Plane

_NEAR: Final = (5, 5)
_PLAIN: Final = 0.6
_DETAIL: Final = 1.6
"""Deviations of lightness, of 100 levels: below the one, pixels are of one colour; above the other, they are not."""
_LEAST_AREA: Final = 40
_MOST: Final = 0.4
"""Where more is filled, what is left may be anything."""
_EDGE: Final = np.ones((7, 7), np.uint8)


def without_fills(laid: Overlay) -> Overlay | None:
    """Return what is seen beside fills; None if there are none, or too large ones."""
    deviations = _deviation(laid.one), _deviation(laid.other)
    edge = _edge(laid.common)
    filled = _filled(laid.common, edge, *deviations) | _filled(laid.common, edge, *reversed(deviations))
    filled = np.asarray(cv2.dilate(filled.astype(np.uint8), _EDGE), np.bool_) & laid.common
    return laid.within(~filled) if 0 < filled.sum() < _MOST * laid.common.sum() else None


def _filled(common: Mask, edge: Mask, plain: Plane, detailed: Plane) -> Mask:
    """Return the regions at the edge where one picture is of one colour and the other is not."""
    flat = ((plain < _PLAIN) & common).astype(np.uint8)
    count, regions, statistics, _ = cv2.connectedComponentsWithStats(flat, connectivity=4)
    labels = np.asarray(regions)
    numbers = [
        number
        for number in range(1, count)
        if statistics[number, cv2.CC_STAT_AREA] >= _LEAST_AREA
        and edge[labels == number].any()
        and detailed[labels == number].mean() > _DETAIL
    ]
    return np.isin(labels, numbers)


def _edge(common: Mask) -> Mask:
    """Return what is within some pixels of the edge of what both pictures have in common."""
    inner = cv2.erode(common.astype(np.uint8), _EDGE, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return ~np.asarray(inner, np.bool_)


def _deviation(lab: Plane) -> Plane:
    """Return how far lightness deviates around each pixel."""
    lightness = lab[..., 0]
    mean = cv2.blur(lightness, _NEAR)
    return np.asarray(np.sqrt(np.maximum(cv2.blur(lightness * lightness, _NEAR) - mean * mean, 0)), np.float32)
