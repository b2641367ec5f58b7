"""Vectors, and numbers like them."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from lookalike.v1 import common_pb2 as common
from lookalike_searcher import validation
from lookalike_searcher.database.halfvec import DIMENSIONS, encode
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.projects.projection import FLOATS

LENGTH_TOLERANCE: Final = 0.01
"""How far from 1 a vector's length may be."""


def embedding(message: common.Embedding, field: str = "embedding") -> Embedding:
    """A vector."""
    [found] = embeddings([message], field)
    if isinstance(found, InvalidField):
        raise found
    return found


def embeddings(messages: Sequence[common.Embedding], field: str = "embedding") -> list[Embedding | InvalidField]:
    """The vectors, or what is wrong with each."""
    sized = [message for message in messages if len(message.values) == DIMENSIONS]
    matrix = np.frombuffer(b"".join(map(_floats, sized)), FLOATS).reshape(-1, DIMENSIONS)
    with np.errstate(all="ignore"):  # what overflows is refused
        lengths = iter(np.sqrt(np.square(matrix).sum(axis=1, dtype=np.float64)).tolist())
        halves = iter(encode(matrix))
    results: list[Embedding | InvalidField] = []
    for message in messages:
        if len(message.values) != DIMENSIONS:
            found = f"{len(message.values)} numbers"
            results.append(InvalidField(f"{field}.values", f"must be {DIMENSIONS} numbers", found))
            continue
        length, half = next(lengths), next(halves)
        if not abs(length - 1) <= LENGTH_TOLERANCE:  # also refuses NaN and infinity
            rule = "must be finite and of length 1, within 1 %"
            results.append(InvalidField(f"{field}.values", rule, f"length {length:g}"))
            continue
        try:
            results.append(Embedding(validation.space(message.space, f"{field}.space"), half))
        except InvalidField as error:
            results.append(error)
    return results


def _floats(message: common.Embedding) -> bytes:
    """The vector as little-endian floats.

    They end the message's own bytes, and are taken from there, as reading numbers one by one costs ten times as much.
    """
    data = message.SerializeToString()
    size = DIMENSIONS * FLOATS.itemsize
    name = len(message.space.encode())
    head = (2 if name < 128 else 3) + name if name else 0
    if len(data) == head + 3 + size:
        return data[-size:]
    return np.fromiter(message.values, FLOATS, DIMENSIONS).tobytes()  # the message has fields that we do not know


def numbers(field: str, values: Sequence[float] | np.ndarray, count: int) -> np.ndarray:
    """So many finite numbers."""
    if len(values) != count:
        raise InvalidField(field, f"must be {count} numbers", f"{len(values)} numbers")
    found = np.fromiter(values, FLOATS, count)
    if not np.isfinite(found).all():
        raise InvalidField(field, "must be finite", f"{count - int(np.isfinite(found).sum())} that are not")
    return found
