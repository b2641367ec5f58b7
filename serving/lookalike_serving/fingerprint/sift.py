"""Find the keypoints of a small picture with SIFT, and describe those that are kept.

OpenCV's `detectAndCompute` does both on the picture enlarged twice, and describes keypoints that are not kept. What is
blurred by a pixel or more needs no such enlargement to be described: the descriptor is the same but for 7 of its 128
bits, from a quarter of the pixels.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike_serving.fingerprint.keypoints import BITS, MAX_KEYPOINTS, Bits, Keypoints, Places

RGB = NDArray[np.uint8]
Gray = NDArray[np.uint8]

_CONTRAST: Final = 0.01
"""SIFT's own default is 0.04, which leaves photos on white grounds with some 50 keypoints; half of them are pasted into
larger pictures, or cropped, without being found again."""
_EDGE: Final = 12.0
_BLUR: Final = 1.6
"""The blur of the first layer, in pixels of the picture enlarged twice: SIFT's own."""
_WHOLE_TURN: Final = 360.0
_FOUND: Final = 240
"""Of so many keypoints, the strongest ones, those are chosen that are kept."""
_PARTS: Final = 8
"""The picture has so many parts in each direction."""
_OF_PART: Final = 3
"""So many keypoints of each part are kept before stronger ones of others: in half as many copies that are pasted beside
something of more contrast, too few would be left."""
_OCTAVE: Final = 0xFF
"""OpenCV keeps a keypoint's octave in the lowest byte of a number, and its layer in the next one."""


def keypoints(small: RGB) -> Keypoints:
    """Return the picture's strongest keypoints, and the strongest of each part of it."""
    height, width = small.shape[:2]
    gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    kept = _found(gray)
    return Keypoints(
        width,
        height,
        places=_places(kept) + np.float32(0.5),
        scales=np.log2(np.array([max(1.0, point.size) for point in kept], np.float32)),
        angles=np.array([point.angle / _WHOLE_TURN % 1 for point in kept], np.float32),
        bits=_described(gray, kept),
    )


def _found(gray: Gray) -> Sequence[cv2.KeyPoint]:
    """Return the keypoints that are kept, of those that OpenCV finds on the picture enlarged twice."""
    height, width = gray.shape
    sift = cv2.SIFT.create(
        _FOUND, contrastThreshold=_CONTRAST, edgeThreshold=_EDGE, sigma=_BLUR, enable_precise_upscale=True
    )
    found = sift.detect(gray, None)
    return [found[number] for number in _chosen(found, width, height)]


def _chosen(found: Sequence[cv2.KeyPoint], width: int, height: int) -> NDArray[np.intp]:
    """Return the numbers of the keypoints that are kept: first the strongest of each part, then those of all."""
    strongest = np.argsort([-point.response for point in found], kind="stable")
    columns, rows = (_places(found)[strongest] * _PARTS // (width, height)).T
    parts = rows * _PARTS + columns
    by_part = np.argsort(parts, kind="stable")
    stronger = np.empty(len(found), np.intp)  # how many of the same part
    stronger[by_part] = np.arange(len(found)) - np.searchsorted(parts[by_part], parts[by_part])
    first = stronger < _OF_PART
    return np.concatenate((strongest[first], strongest[~first]))[:MAX_KEYPOINTS]


def _places(points: Sequence[cv2.KeyPoint]) -> Places:
    return np.asarray(cv2.KeyPoint.convert(points), np.float32).reshape(-1, 2)


def _described(gray: Gray, kept: Sequence[cv2.KeyPoint]) -> Bits:
    """Return the descriptors, each made of the layer where its keypoint was found, in pixels twice as large.

    What has a blur of 1.6 in the picture enlarged twice has one of 0.8 in the picture as it is, an octave further on.
    """
    if not kept:
        return np.zeros((0, BITS // 8), np.uint8)
    for point in kept:
        point.octave = (point.octave & ~_OCTAVE) | ((point.octave + 1) & _OCTAVE)
    _, descriptors = cv2.SIFT.create(sigma=_BLUR / 2).compute(gray, kept)
    return _bits(np.asarray(descriptors, np.float32))


def _bits(descriptors: NDArray[np.float32]) -> Bits:
    """Return a bit for each number: whether it is above the median of its descriptor.

    Compared by Hamming distance, these bits tell copies as well as the numbers do, in an eighth of the bytes.
    """
    middle = np.sort(descriptors, axis=1)[:, BITS // 2 - 1 : BITS // 2 + 1]  # `np.median` takes five times as long
    return np.packbits(descriptors > middle.mean(axis=1, keepdims=True), axis=1)
