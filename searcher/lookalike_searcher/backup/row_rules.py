"""Check the rows of a backup's tables by the rules of the wire."""

import json
import struct
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from lookalike_searcher import validation
from lookalike_searcher.backup.pgcopy import Column
from lookalike_searcher.database import halfvec
from lookalike_searcher.database.halfvec import MAX_DIMENSIONS
from lookalike_searcher.errors import InvalidField, Measure
from lookalike_searcher.images import fingerprint_rules
from lookalike_searcher.rpc.parse.vector import LENGTH_TOLERANCE
from lookalike_serving.fingerprint import keypoints, picture

Check = Callable[[str, bytes], object]

MAX_KEY: Final = 2**53
"""The greatest id in a backup; new ids for thousands of years are left after it."""
_TIMES: Final = (-946_684_800_000_000, 252_455_616_000_000_000)
"""Microseconds since 2000: the years 1970 to 9999, which a response can hold."""
_LABELS_BYTES: Final = 2 + validation.MAX_LABELS * (6 * (64 + 256) + 8)
"""The most bytes of labels as JSON, in which a character may take six bytes."""
_ROUNDING: Final = 0.002
"""A vector's length changes at most so much when its numbers are rounded to half precision."""


def _number(form: str, minimum: int, maximum: int) -> Check:
    packed = struct.Struct(form)

    def check(field: str, value: bytes) -> None:
        if len(value) != packed.size:
            raise InvalidField(field, f"must be {packed.size} bytes", Measure(f"{len(value)} bytes"))
        validation.between(field, packed.unpack(value)[0], minimum, maximum)

    return check


def _text(rule: Callable[[str, str], object]) -> Check:
    return lambda field, value: rule(field, value.decode())


def _flag(field: str, value: bytes) -> None:
    if value not in (b"\0", b"\1"):
        raise InvalidField(field, "must be true or false", value)


def _labels(field: str, value: bytes) -> None:
    """Check labels in the binary form of JSONB: a version, then text."""
    labels = json.loads(value[1:].decode()) if value[:1] == b"\1" else None
    if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
        raise InvalidField(field, "must be an object of texts", value)
    validation.labels(field, labels)


def _search_id(field: str, value: bytes) -> None:
    if len(value) != 16:
        raise InvalidField(field, "must be 16 bytes", Measure(f"{len(value)} bytes"))


def _vector(field: str, value: bytes, dimensions: int | None = None) -> None:
    """Check a vector of a space with so many dimensions; None: of any space."""
    count = dimensions or halfvec.dimensions_of(len(value))
    if count < 1 or len(value) != halfvec.size_of(count) or not halfvec.begins_with(value, count):
        rule = f"must be {dimensions or f'1 to {MAX_DIMENSIONS}'} numbers"
        raise InvalidField(field, rule, Measure(f"{len(value)} bytes"))
    with np.errstate(all="ignore"):  # infinities and NaNs are refused below
        length = float(np.linalg.norm(halfvec.decode([value], count)))
    if not abs(length - 1) <= LENGTH_TOLERANCE + _ROUNDING:
        raise InvalidField(field, "must be finite and of length 1, within 1 %", Measure(f"length {length:g}"))


def _sha256(field: str, value: bytes) -> None:
    validation.sha256(value, field)


_KEY: Final = (8, _number(">q", 1, MAX_KEY))
_SIDE: Final = (4, _number(">i", 0, validation.MAX_SIDE))
_TIME: Final = (8, _number(">q", *_TIMES))
_PRODUCT: Final = (256, _text(validation.product))

_RULES: Final[dict[str, tuple[int, Check]]] = {
    "id": _KEY,
    "image_id": _KEY,
    "sha256": (32, _sha256),
    "query_sha256": (32, _sha256),
    "other_sha256": (32, _sha256),
    "search_id": (16, _search_id),
    "width": _SIDE,
    "height": _SIDE,
    "file_size": (8, _number(">q", 0, validation.MAX_FILE_SIZE)),
    "rank": (4, _number(">i", 1, validation.MAX_RANK)),
    "create_time": _TIME,
    "update_time": _TIME,
    "search_time": _TIME,
    "staged": (1, _flag),
    "clicked": (1, _flag),
    "is_right": (1, _flag),
    "featureless": (1, _flag),
    "uri": (2048, _text(validation.uri)),
    "product": _PRODUCT,
    "variant": _PRODUCT,
    "stamp": (256, _text(validation.stamp)),
    "labels": (_LABELS_BYTES, _labels),
    "space": (128, _text(lambda field, value: validation.space(value, field))),
    "vector": (halfvec.size_of(MAX_DIMENSIONS), _vector),
    "version": (128, _text(lambda field, value: validation.space(value, field))),
    "picture": (picture.MAX_BYTES, fingerprint_rules.picture),
    "keypoints": (keypoints.MAX_BYTES, fingerprint_rules.keypoints),
}
"""The limit in bytes and the check of each column. A name means the same in all tables."""
_NULLABLE: Final = frozenset({"query_sha256", "is_right", ("feedback", "space"), ("feedback", "vector")})


def column(table: str, name: str, dimensions: int | None = None) -> Column:
    """Return the rule of a table's column. Raises KeyError if there is none.

    Args:
        table: the name of the table; `vector` for any table of vectors.
        name: the name of the column.
        dimensions: those of the table's space, if it is a table of vectors.
    """
    limit, check = _RULES[name]
    if name == "vector":
        check = partial(_vector, dimensions=dimensions)
    return Column(f"{table}.{name}", limit, check, name in _NULLABLE or (table, name) in _NULLABLE)
