"""Pack the keypoints of a small picture into bytes, and check and unpack bytes that come from elsewhere.

width height count                3 × 1 byte: the picture's size in pixels, and how many keypoints follow
for each keypoint, 22 bytes:
    x y                           2 × 2 bytes, little-endian: its place in 1/256 of a pixel, from the upper left corner
    scale                         1 byte: 16 times the binary logarithm of its diameter in pixels
    angle                         1 byte: its direction in 1/256 of a turn, clockwise as pictures are drawn
    bits                          16 bytes: its descriptor, of one bit for each of SIFT's 128 numbers
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from lookalike_serving.fingerprint.picture import MAX_SIDE

MAX_KEYPOINTS: Final = 180
BITS: Final = 128

_HEAD: Final = 3
_ROW: Final = np.dtype(
    [("x", "<u2"), ("y", "<u2"), ("scale", "u1"), ("angle", "u1"), ("bits", "u1", BITS // 8)], align=False
)
_PARTS_OF_PIXEL: Final = 256
_STEPS_OF_OCTAVE: Final = 16
_STEPS_OF_TURN: Final = 256
MAX_BYTES: Final = _HEAD + MAX_KEYPOINTS * _ROW.itemsize

Bits = NDArray[np.uint8]
Places = NDArray[np.float32]


class InvalidKeypoints(ValueError):
    """The bytes are no keypoints."""


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Keypoints are places in a small picture that can be found again in an altered copy of it.

    Attributes:
        width, height: the picture's size in pixels.
        places: x and y of each keypoint, in pixels.
        scales: the binary logarithm of each one's diameter in pixels.
        angles: each one's direction in turns, in [0, 1).
        bits: each one's descriptor, 16 bytes.
    """

    width: int
    height: int
    places: Places
    scales: NDArray[np.float32]
    angles: NDArray[np.float32]
    bits: Bits

    def __len__(self) -> int:
        """Return how many keypoints there are."""
        return len(self.places)

    def pack(self) -> bytes:
        """Return the keypoints as bytes."""
        rows = np.zeros(len(self), _ROW)
        most = np.array((self.width, self.height), np.float32) * _PARTS_OF_PIXEL
        rows["x"], rows["y"] = np.rint(self.places * _PARTS_OF_PIXEL).clip(0, most).T
        rows["scale"] = np.rint(self.scales * _STEPS_OF_OCTAVE).clip(0, 255)
        rows["angle"] = np.rint(self.angles * _STEPS_OF_TURN) % _STEPS_OF_TURN
        rows["bits"] = self.bits
        return bytes((self.width, self.height, len(self))) + rows.tobytes()

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return the keypoints that these bytes hold.

        Raises:
            InvalidKeypoints: the bytes are too few or too many, or say what cannot be.
        """
        if len(packed) < _HEAD:
            raise InvalidKeypoints(f"at least {_HEAD} bytes, got {len(packed)}")
        width, height, count = packed[:_HEAD]
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise InvalidKeypoints(f"a picture of 1 to {MAX_SIDE} pixels a side, got {width} x {height}")
        if count > MAX_KEYPOINTS:
            raise InvalidKeypoints(f"at most {MAX_KEYPOINTS} keypoints, got {count}")
        if len(packed) != _HEAD + count * _ROW.itemsize:
            raise InvalidKeypoints(f"{_HEAD + count * _ROW.itemsize} bytes for {count} keypoints, got {len(packed)}")
        rows = np.frombuffer(packed, _ROW, count, _HEAD)
        places = np.stack((rows["x"], rows["y"]), axis=1).astype(np.float32) / np.float32(_PARTS_OF_PIXEL)
        if (places > (width, height)).any():
            raise InvalidKeypoints(f"keypoints within {width} x {height} pixels, got one outside")
        return cls(
            width,
            height,
            places,
            rows["scale"].astype(np.float32) / np.float32(_STEPS_OF_OCTAVE),
            rows["angle"].astype(np.float32) / np.float32(_STEPS_OF_TURN),
            np.ascontiguousarray(rows["bits"]),
        )
