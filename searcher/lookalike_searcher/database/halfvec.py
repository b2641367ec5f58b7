"""Encode vectors for PostgreSQL: half precision, in the binary format of pgvector's `halfvec`."""

import struct
from collections.abc import Iterable
from typing import Final

import numpy as np

MAX_DIMENSIONS: Final = 4000
"""The most dimensions of a `halfvec` that pgvector's HNSW can index."""

_HEADER: Final = struct.Struct(">HH")
"""The number of dimensions, and a reserved zero."""
_BIG_ENDIAN_HALF: Final = np.dtype(">f2")


def encode(vectors: np.ndarray) -> list[bytes]:
    """Return the rows of a float matrix of shape (n, dimensions), each as a `halfvec`."""
    dimensions = vectors.shape[1]
    header, row = _HEADER.pack(dimensions, 0), dimensions * _BIG_ENDIAN_HALF.itemsize
    data = vectors.astype(_BIG_ENDIAN_HALF).tobytes()
    return [header + data[start : start + row] for start in range(0, len(data), row)]


def encode_vector(vector: np.ndarray) -> bytes:
    """Return one float vector as a `halfvec`."""
    return _HEADER.pack(len(vector), 0) + vector.astype(_BIG_ENDIAN_HALF).tobytes()


def decode(halfvecs: Iterable[bytes], dimensions: int) -> np.ndarray:
    """Return the float32 matrix of shape (n, dimensions) whose rows these are."""
    data = b"".join(halfvec[_HEADER.size :] for halfvec in halfvecs)
    return np.frombuffer(data, _BIG_ENDIAN_HALF).astype(np.float32).reshape(-1, dimensions)


def size_of(dimensions: int) -> int:
    """Return how many bytes a `halfvec` of so many dimensions has."""
    return _HEADER.size + dimensions * _BIG_ENDIAN_HALF.itemsize


def dimensions_of(size: int) -> int:
    """Return how many dimensions a `halfvec` of so many bytes has."""
    return (size - _HEADER.size) // _BIG_ENDIAN_HALF.itemsize


def begins_with(halfvec: bytes, dimensions: int) -> bool:
    """Return whether a `halfvec` that may be forged says itself that it has so many dimensions."""
    return halfvec[: _HEADER.size] == _HEADER.pack(dimensions, 0)
