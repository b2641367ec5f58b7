"""Encode vectors for PostgreSQL: half precision, in the binary format of pgvector's `halfvec`."""

import struct
from collections.abc import Iterable
from typing import Final

import numpy as np

DIMENSIONS: Final = 512
"""The dimensions of every vector, as in the type of the columns."""

_HEADER: Final = struct.pack(">HH", DIMENSIONS, 0)
_BIG_ENDIAN_HALF: Final = np.dtype(">f2")


def encode(vectors: np.ndarray) -> list[bytes]:
    """Return the rows of a float matrix of shape (n, DIMENSIONS), each as a `halfvec`."""
    row = DIMENSIONS * _BIG_ENDIAN_HALF.itemsize
    data = vectors.astype(_BIG_ENDIAN_HALF).tobytes()
    return [_HEADER + data[start : start + row] for start in range(0, len(data), row)]


def decode(halfvecs: Iterable[bytes]) -> np.ndarray:
    """Return the float32 matrix of shape (n, DIMENSIONS) whose rows these are."""
    data = b"".join(halfvec[len(_HEADER) :] for halfvec in halfvecs)
    return np.frombuffer(data, _BIG_ENDIAN_HALF).astype(np.float32).reshape(-1, DIMENSIONS)
