"""From requests to the domain's own types: every field is checked here, and nowhere else."""

import re
from typing import Final

import numpy as np
from pgvector import HalfVector

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.image import DIMENSIONS, Embedding, Entry, Reference
from lookalike_searcher.search import Query

MAX_HASHES: Final = 10_000
MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 10
MAX_PAGE_SIZE: Final = 1_000
DEFAULT_PAGE_SIZE: Final = 100

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SPACE: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_MAX_SIDE: Final = 1_000_000
_MAX_LABELS: Final = 64
_LENGTH_TOLERANCE: Final = 0.01


def project_name(value: str, field: str = "name") -> str:
    """A project's name."""
    if not _NAME.fullmatch(value):
        rule = "must be 1 to 63 lower-case letters, digits, '-' or '_' and begin with a letter or digit"
        raise InvalidField(field, rule, value)
    return value


def space(value: str, field: str = "space") -> str:
    """The name of an embedding space."""
    if not _SPACE.fullmatch(value):
        raise InvalidField(field, "must be 1 to 128 letters, digits, '.', '_' or '-'", value)
    return value


def page_size(value: int) -> int:
    """How many to return: a default for 0, at most the maximum (AIP-158)."""
    if value < 0:
        raise InvalidField("page_size", "must not be negative", value)
    return min(value or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def hashes(request: wire.CheckImagesRequest) -> list[bytes]:
    """The hashes to look up."""
    if len(request.sha256s) > MAX_HASHES:
        raise InvalidField("sha256s", f"must be at most {MAX_HASHES}", len(request.sha256s))
    return [_sha256(value, f"sha256s[{position}]") for position, value in enumerate(request.sha256s)]


def query(request: wire.SearchRequest) -> Query:
    """What to rank by."""
    sha256 = _sha256(request.sha256) if request.sha256 else None
    embedding = _embedding(request.embedding) if request.HasField("embedding") else None
    if not (sha256 or embedding):
        raise InvalidField("embedding", "is required, or else sha256", None)
    return Query(embedding, sha256)


def limit(value: int) -> int:
    """How many hits to return."""
    if not 0 <= value <= MAX_LIMIT:
        raise InvalidField("limit", f"must be 1 to {MAX_LIMIT}, or 0 for {DEFAULT_LIMIT}", value)
    return value or DEFAULT_LIMIT


def entry(request: wire.IndexImagesRequest) -> Entry:
    """An image to store."""
    return Entry(
        sha256=_sha256(request.sha256),
        embedding=_embedding(request.embedding) if request.HasField("embedding") else None,
        width=_side("width", request.width),
        height=_side("height", request.height),
        reference=_reference(request.reference),
    )


def _sha256(value: bytes, field: str = "sha256") -> bytes:
    if len(value) != 32:
        raise InvalidField(field, "must be 32 bytes", f"{len(value)} bytes")
    return value


def _embedding(message: common.Embedding) -> Embedding:
    if len(message.values) != DIMENSIONS:
        raise InvalidField("embedding.values", f"must be {DIMENSIONS} numbers", f"{len(message.values)} numbers")
    vector = np.fromiter(message.values, np.float32, DIMENSIONS)
    length = float(np.linalg.norm(vector))
    if not abs(length - 1) <= _LENGTH_TOLERANCE:  # also refuses NaN and infinity
        raise InvalidField("embedding.values", "must be finite and of length 1, within 1 %", f"length {length:g}")
    return Embedding(space(message.space, "embedding.space"), HalfVector(vector))


def _side(field: str, value: int) -> int:
    if not 0 <= value <= _MAX_SIDE:
        raise InvalidField(field, f"must be 0 to {_MAX_SIDE} pixels", value)
    return value


def _reference(message: wire.Reference) -> Reference:
    labels = dict(message.labels)
    if len(labels) > _MAX_LABELS:
        raise InvalidField("reference.labels", f"must be at most {_MAX_LABELS}", len(labels))
    for name, value in labels.items():
        _text("reference.labels", name, least=1, most=64)
        _text(f"reference.labels[{name!r}]", value, least=0, most=256)
    return Reference(
        uri=_text("reference.uri", message.uri, least=1, most=2048),
        product=_text("reference.product", message.product, least=0, most=256),
        variant=_text("reference.variant", message.variant, least=0, most=256),
        staged=message.staged,
        labels=labels,
    )


def _text(field: str, value: str, *, least: int, most: int) -> str:
    size = len(value.encode())
    if not least <= size <= most:
        raise InvalidField(field, f"must be {least} to {most} bytes", f"{size} bytes")
    if "\0" in value:  # PostgreSQL cannot store it
        raise InvalidField(field, "must not contain the character NUL", value)
    return value
