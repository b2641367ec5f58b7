"""Parse vectors, and other lists of numbers."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from lookalike.v1 import common_pb2 as common
from lookalike_searcher import validation
from lookalike_searcher.database.halfvec import DIMENSIONS, encode
from lookalike_searcher.errors import InvalidField, Measure
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.projects.projection import FLOATS

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
    sized = [message for message in messages if len(message.values) == DIMENSIONS]
    matrix = np.frombuffer(b"".join(map(_floats, sized)), FLOATS).reshape(-1, DIMENSIONS)
    with np.errstate(all="ignore"):  # vectors that overflow are refused below
        lengths = iter(np.sqrt(np.vecdot(matrix, matrix)).tolist())
        halves = iter(encode(matrix))
    results: list[Embedding | InvalidField] = []
    for message in messages:
        if len(message.values) != DIMENSIONS:
            count = f"{len(message.values)} numbers"
            results.append(InvalidField(f"{field}.values", f"must be {DIMENSIONS} numbers", Measure(count)))
            continue
        length, half = next(lengths), next(halves)
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


def _floats(message: common.Embedding) -> bytes:
    """Return the vector as little-endian floats.

    They are the last of the message's own bytes. Taking them from there costs a tenth of reading them one by one.
    """
    data = message.SerializeToString()
    size = DIMENSIONS * FLOATS.itemsize
    name = len(message.space.encode())
    head = (2 if name < 128 else 3) + name if name else 0
    if len(data) == head + 3 + size:
        return data[-size:]
    return np.fromiter(message.values, FLOATS, DIMENSIONS).tobytes()  # there is more in the message


def numbers(field: str, values: Sequence[float] | np.ndarray, count: int) -> np.ndarray:
    """Return `count` finite numbers as float32. Raises InvalidField."""
    if len(values) != count:
        raise InvalidField(field, f"must be {count} numbers", Measure(f"{len(values)} numbers"))
    array = np.fromiter(values, FLOATS, count)
    if not np.isfinite(array).all():
        raise InvalidField(field, "must be finite", Measure(f"{count - int(np.isfinite(array).sum())} that are not"))
    return array
