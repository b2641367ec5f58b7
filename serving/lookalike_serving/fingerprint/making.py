"""Make a fingerprint from decoded pixels."""

import io
from typing import Final

import cv2
import numpy as np
from PIL import Image

from lookalike_serving.fingerprint import Fingerprint, sift
from lookalike_serving.fingerprint.picture import MAX_SIDE
from lookalike_serving.fingerprint.sift import RGB

_QUALITY: Final = 60
_EFFORT: Final = 2
"""WebP's `method`, of 0 to 6. The default of 4 takes twice the time for 5 to 8 % less bytes."""


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
    return Fingerprint(_webp(small), sift.keypoints(small).pack())


def _webp(small: RGB) -> bytes:
    """Return the picture as a lossy WebP. Pillow can be told to spend less time on it, and OpenCV cannot."""
    encoded = io.BytesIO()
    Image.fromarray(small).save(encoded, "WEBP", quality=_QUALITY, method=_EFFORT)
    return encoded.getvalue()
