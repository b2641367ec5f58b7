"""Parse vectors, and other lists of numbers."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from lookalike.v1 import common_pb2 as common
from lookalike_searcher import validation
from lookalike_searcher.database.halfvec import MAX_DIMENSIONS, encode
from lookalike_searcher.errors import InvalidField, Measure
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.projects.projection import FLOATS

_CONVERTED_AT_ONCE: Final = 65_536
"""So many numbers are converted at a time, in 5 ms; other threads run in between."""
LENGTH_TOLERANCE: Final = 0.01
"""A vector's length may differ from 1 by so much."""


def embedding(message: common.Embedding, field: str = "embedding") -> Embedding:
    """Return the embedding that a message holds. Raises InvalidField if it is not valid."""
    [parsed] = embeddings([message], field)
    if isinstance(parsed, InvalidField):
        raise parsed
    return parsed


def embeddings(messages: Sequence[common.Embedding], field: str = "embedding") -> list[Embedding | InvalidField]:
    """Return the embeddings, or what is wrong with each."""
    by_size: dict[int, list[common.Embedding]] = {}
    for message in messages:
        by_size.setdefault(len(message.values), []).append(message)
    encoded = {size: _encoded(sized, size) for size, sized in by_size.items() if 1 <= size <= MAX_DIMENSIONS}
    results: list[Embedding | InvalidField] = []
    for message in messages:
        count = len(message.values)
        if count not in encoded:
            measure = Measure(f"{count} numbers")
            results.append(InvalidField(f"{field}.values", f"must be 1 to {MAX_DIMENSIONS} numbers", measure))
            continue
        length, half = next(encoded[count])
        if not abs(length - 1) <= LENGTH_TOLERANCE:  # also refuses NaN and infinity
            rule = "must be finite and of length 1, within 1 %"
            results.append(InvalidField(f"{field}.values", rule, Measure(f"length {length:g}")))
            continue
        try:
            space = validation.space(message.space, f"{field}.space")
            results.append(Embedding(space, half, message.featureless))
        except InvalidField as error:
            results.append(error)
    return results


def _encoded(messages: Sequence[common.Embedding], size: int) -> Iterator[tuple[float, bytes]]:
    """Return the length of each vector, and the vector encoded. All have the same number of dimensions."""
    matrix = np.frombuffer(b"".join([_floats(message, size) for message in messages]), FLOATS).reshape(-1, size)
    with np.errstate(all="ignore"):  # vectors that overflow are refused by their lengths
        lengths = np.sqrt(np.vecdot(matrix, matrix)).tolist()
        return zip(lengths, encode(matrix), strict=True)


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
