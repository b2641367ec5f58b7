"""Parse vectors, and other lists of numbers."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from lookalike.v1 import common_pb2 as common
from lookalike_searcher import validation
from lookalike_searcher.database.halfvec import MAX_DIMENSIONS, encode_vector
from lookalike_searcher.errors import InvalidField, Measure
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.projects.projection import FLOATS

_CONVERTED_AT_ONCE: Final = 65_536
"""So many numbers are converted at a time, in 5 ms; other threads run in between."""
LENGTH_TOLERANCE: Final = 0.01
"""A vector's length may differ from 1 by so much."""


def embedding(message: common.Embedding, field: str = "embedding") -> Embedding:
    """Return the embedding that a message holds. Raises InvalidField if it is not valid."""
    count = len(message.values)
    if not 1 <= count <= MAX_DIMENSIONS:
        raise InvalidField(f"{field}.values", f"must be 1 to {MAX_DIMENSIONS} numbers", Measure(f"{count} numbers"))
    vector = np.frombuffer(_floats(message, count), FLOATS)
    length = math.sqrt(np.vdot(vector, vector))
    if not abs(length - 1) <= LENGTH_TOLERANCE:  # also refuses NaN and infinity
        rule = "must be finite and of length 1, within 1 %"
        raise InvalidField(f"{field}.values", rule, Measure(f"length {length:g}"))
    return Embedding(validation.space(message.space, f"{field}.space"), encode_vector(vector), message.featureless)


def _floats(message: common.Embedding, count: int) -> bytes:
    """Return the vector as little-endian floats.

    They are the last of the message's own bytes. Taking them from there costs a tenth of reading them one by one.
    """
    data = message.SerializeToString()
    size = count * FLOATS.itemsize
    name = len(message.space.encode())
    head = (_before(name) + name if name else 0) + _before(size)
    if len(data) == head + size:
        return data[-size:]
    return np.fromiter(message.values, FLOATS, count).tobytes()  # there is more in the message


def _before(size: int) -> int:
    """Return how many bytes stand before a field of so many: its tag, and its size as a varint."""
    return 1 + max(1, -(-size.bit_length() // 7))


def numbers(field: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return finite numbers as float32. Raises InvalidField."""
    array = np.empty(len(values), FLOATS)
    for start in range(0, len(array), _CONVERTED_AT_ONCE):
        array[start : start + _CONVERTED_AT_ONCE] = values[start : start + _CONVERTED_AT_ONCE]
    finite = np.isfinite(array)
    if not finite.all():
        raise InvalidField(field, "must be finite", Measure(f"{len(array) - int(finite.sum())} that are not"))
    return array
