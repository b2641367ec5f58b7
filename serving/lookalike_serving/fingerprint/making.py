"""Make a fingerprint from decoded pixels."""

import io
from collections import Counter
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike_serving.fingerprint import Fingerprint
from lookalike_serving.fingerprint.keypoints import BITS, MAX_KEYPOINTS, Keypoints
from lookalike_serving.fingerprint.picture import MAX_SIDE

RGB = NDArray[np.uint8]

_QUALITY: Final = 60
_EFFORT: Final = 2
"""WebP's `method`, of 0 to 6. The default of 4 takes twice the time for 5 to 8 % less bytes."""
_CONTRAST: Final = 0.01
"""SIFT's own default is 0.04, which leaves photos on white grounds with some 50 keypoints; half of them are pasted into
larger pictures, or cropped, without being found again."""
_EDGE: Final = 12.0
_WHOLE_TURN: Final = 360.0
_FOUND: Final = 240
"""Of so many keypoints, the strongest ones, those are chosen that are kept."""
_PARTS: Final = 8
"""The picture has so many parts in each direction."""
_OF_PART: Final = 3
"""So many keypoints of each part are kept before stronger ones of others: in half as many copies that are pasted beside
something of more contrast, too few would be left."""


def make(pixels: RGB, width: int, height: int) -> Fingerprint:
    """Return the fingerprint of a picture.

    Args:
        pixels: red, green and blue, in any size and aspect: those that the model sees will do.
        width: the picture's own, which with `height` says what its aspect is.
        height: see `width`.
    """
    scale = MAX_SIDE / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Fingerprint(_webp(small), keypoints(small).pack())


def _webp(small: RGB) -> bytes:
    """Return the picture as a lossy WebP. Pillow can be told to spend less time on it, and OpenCV cannot."""
    encoded = io.BytesIO()
    Image.fromarray(small).save(encoded, "WEBP", quality=_QUALITY, method=_EFFORT)
    return encoded.getvalue()


def keypoints(small: RGB) -> Keypoints:
    """Return the picture's strongest keypoints, and the strongest of each part of it."""
    height, width = small.shape[:2]
    sift = cv2.SIFT.create(_FOUND, contrastThreshold=_CONTRAST, edgeThreshold=_EDGE, enable_precise_upscale=True)
    found, descriptors = sift.detectAndCompute(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), None)
    chosen = _chosen(found, width, height)
    found = [found[number] for number in chosen]
    numbers = np.zeros((0, BITS), np.float32) if descriptors is None else descriptors[chosen]
    return Keypoints(
        width,
        height,
        places=np.array([point.pt for point in found], np.float32).reshape(-1, 2) + np.float32(0.5),
        scales=np.log2(np.array([max(1.0, point.size) for point in found], np.float32)),
        angles=np.array([point.angle / _WHOLE_TURN % 1 for point in found], np.float32),
        bits=_bits(np.asarray(numbers, np.float32)),
    )


def _chosen(found: Sequence[cv2.KeyPoint], width: int, height: int) -> list[int]:
    """Return the numbers of the keypoints that are kept: first the strongest of each part, then those of all."""
    in_part: Counter[tuple[int, int]] = Counter()
    first: list[int] = []
    others: list[int] = []
    for number in sorted(range(len(found)), key=lambda number: -found[number].response):
        x, y = found[number].pt
        part = int(x * _PARTS / width), int(y * _PARTS / height)
        in_part[part] += 1
        (first if in_part[part] <= _OF_PART else others).append(number)
    return [*first, *others][:MAX_KEYPOINTS]


def _bits(descriptors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a bit for each number: whether it is above the median of its descriptor.

    Compared by Hamming distance, these bits tell copies as well as the numbers do, in an eighth of the bytes.
    """
    middle = np.sort(descriptors, axis=1)[:, BITS // 2 - 1 : BITS // 2 + 1]  # `np.median` takes five times as long
    return np.packbits(descriptors > middle.mean(axis=1, keepdims=True), axis=1)
