"""Check and decode the small picture of a fingerprint, which may come from elsewhere."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""Rows of pixels: blue, green and red, as OpenCV has them."""

MAX_SIDE: Final = 160
"""The longer side has at most so many pixels."""
MAX_BYTES: Final = 24 * 1024
"""The noisiest picture of this size has 20 kB at the quality that we encode with; photos have 2 to 5."""

_HEAD: Final = 30
"""A lossy WebP begins with `RIFF`, 4 bytes of length, `WEBPVP8 `, 4 bytes of length, 3 bytes that say what frame it is,
the 3 bytes of `_START`, and width and height of 14 bits each, in 2 bytes each."""
_START: Final = b"\x9d\x01\x2a"
_SIDE_BITS: Final = 0x3FFF

# Pictures are so small that OpenCV's own threads would cost more than they give, and take cores from others' work.
cv2.setNumThreads(1)


class InvalidPicture(ValueError):
    """The bytes are no small picture."""


def size(encoded: bytes) -> tuple[int, int]:
    """Return width and height, from the head alone.

    Raises:
        InvalidPicture: the bytes are too many, no lossy WebP, or one that is too large.
    """
    if len(encoded) > MAX_BYTES:
        raise InvalidPicture(f"at most {MAX_BYTES} bytes, got {len(encoded)}")
    if len(encoded) < _HEAD or (encoded[:4], encoded[8:16], encoded[23:26]) != (b"RIFF", b"WEBPVP8 ", _START):
        raise InvalidPicture(f"a lossy WebP without transparency, got {len(encoded)} bytes of something else")
    width, height = (int.from_bytes(encoded[at : at + 2], "little") & _SIDE_BITS for at in (26, 28))
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise InvalidPicture(f"1 to {MAX_SIDE} pixels a side, got {width} x {height}")
    return width, height


def decode(encoded: bytes) -> Picture:
    """Return the pixels of a small picture.

    Raises:
        InvalidPicture: see `size`; or the file is broken.
    """
    width, height = size(encoded)
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if picture is None or picture.shape != (height, width, 3):
        raise InvalidPicture(f"a whole WebP of {width} x {height} pixels, got a broken one")
    return np.asarray(picture, np.uint8)
