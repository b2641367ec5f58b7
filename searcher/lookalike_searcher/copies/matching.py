"""Find which keypoints of two pictures show the same."""

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike_serving.fingerprint.keypoints import BITS, Keypoints, Places

_RATIO: Final = 0.9
"""The second-nearest keypoint must be farther away by this factor, so that what is there often is not matched."""
_MAX_DISTANCE: Final = 40
"""Two descriptors that have nothing in common differ in 64 of their 128 bits."""
_TURN_TOLERANCE: Final = 0.1
_OCTAVE_TOLERANCE: Final = 0.7
_CELLS: Final = 4
_DIRECTIONS: Final = 8


class Matches(NamedTuple):
    """Matches are places in one picture, and in the same order those of another picture that show the same."""

    places: Places
    others: Places


def match(one: Keypoints, other: Keypoints) -> Matches:
    """Return the matches that agree on how far one picture is turned and scaled against the other."""
    if min(len(one), len(other)) < 2:  # there is no second-nearest
        return Matches(one.places[:0], other.places[:0])
    rows, columns = _nearest(_distances(one, other))
    kept = _agreeing(other.angles[columns] - one.angles[rows], other.scales[columns] - one.scales[rows])
    return Matches(one.places[rows[kept]], other.places[columns[kept]])


def mirrored(keypoints: Keypoints) -> Keypoints:
    """Return the keypoints of the picture's mirror image, which need not be looked for."""
    bits = np.unpackbits(keypoints.bits, axis=1)[:, _MIRRORED]
    return replace(
        keypoints,
        places=np.stack((keypoints.width - keypoints.places[:, 0], keypoints.places[:, 1]), axis=1),
        angles=(0.5 - keypoints.angles) % 1,
        bits=np.ascontiguousarray(np.packbits(bits, axis=1)),
    )


def _mirrored_numbers() -> NDArray[np.intp]:
    """Return, for each number of a mirror image's descriptor, the number of the picture's that is the same.

    A descriptor is a grid of 4 x 4 cells along the keypoint's direction, with eight directions in each. In the mirror
    image, the rows of the grid come in opposite order, and directions are turned the other way round.
    """
    row, column, direction = np.indices((_CELLS, _CELLS, _DIRECTIONS))
    return np.asarray(
        (((_CELLS - 1 - row) * _CELLS + column) * _DIRECTIONS + -direction % _DIRECTIONS).ravel(), np.intp
    )


_MIRRORED: Final = _mirrored_numbers()


def _distances(one: Keypoints, other: Keypoints) -> NDArray[np.uint8]:
    """Return the Hamming distances of all pairs."""
    words, others = one.bits.view(np.uint64), other.bits.view(np.uint64)
    distances = np.zeros((len(one), len(other)), np.uint8)
    for word in range(BITS // 64):
        distances += np.bitwise_count(words[:, None, word] ^ others[None, :, word])
    return distances


def _nearest(distances: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the pairs that are each other's nearest, and clearly so; `distances` is used up."""
    rows, columns = np.arange(len(distances)), distances.argmin(axis=1)
    nearest = distances[rows, columns]
    rows = rows[nearest <= _MAX_DISTANCE]
    rows = rows[distances.min(axis=0)[columns[rows]] == nearest[rows]]
    distances[rows, columns[rows]] = BITS
    rows = rows[nearest[rows] <= _RATIO * distances[rows].min(axis=1)]
    return rows, columns[rows]


def _agreeing(turns: NDArray[np.float32], octaves: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which matches are about as turned and scaled as the match that has most others on its side."""
    if not len(turns):
        return np.zeros(0, np.bool_)
    turned = turns[:, None] - turns
    turned -= np.rint(turned)  # a whole turn is none
    together = (np.abs(turned) <= _TURN_TOLERANCE) & (np.abs(octaves[:, None] - octaves) <= _OCTAVE_TOLERANCE)
    best: NDArray[np.bool_] = together[together.sum(axis=1, dtype=np.uint16).argmax()]
    return best
