"""Check single fields by the same rules, wherever they occur. `parse` applies them to requests."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from lookalike import constants
from lookalike_searcher.errors import InvalidField, Measure

MAX_HASHES: Final = 10_000
MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 10
MAX_PAGE_SIZE: Final = 1_000
DEFAULT_PAGE_SIZE: Final = 100
MAX_BATCH: Final = 100
MAX_NAMED: Final = 1_000
MAX_LABELS: Final = constants.MAX_LABELS
MAX_LABEL_GROUPS: Final = 16
MAX_EXAMPLES: Final = 100
MAX_ENTRIES: Final = 512
MAX_SYNCED: Final = 1_000
MAX_FURTHER_EMBEDDINGS: Final = 4
MAX_VERIFIED: Final = 100
MAX_VIEWS: Final = 16
MAX_JUDGED: Final = 100
MAX_VERDICTS: Final = 100
MAX_DISMISSED: Final = 100

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SPACE: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
MAX_SIDE: Final = 1_000_000
MAX_RANK: Final = 1_000_000
MAX_FILE_SIZE: Final = 1 << 40


def project_name(value: str, field: str = "name") -> str:
    """Return the name of a project. Raises InvalidField if it is not valid."""
    if not _NAME.fullmatch(value):
        rule = "must be 1 to 63 lower-case letters, digits, '-' or '_' and begin with a letter or digit"
        raise InvalidField(field, rule, value)
    return value


def space(value: str, field: str = "space") -> str:
    """Return the name of an embedding space. Raises InvalidField."""
    if not _SPACE.fullmatch(value):
        raise InvalidField(field, "must be 1 to 128 letters, digits, '.', '_' or '-'", value)
    return value


def page_size(value: int) -> int:
    """Return the size of a page: a default for 0, at most the maximum (AIP-158). Raises InvalidField."""
    if value < 0:
        raise InvalidField("page_size", "must not be negative", value)
    return min(value or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def between(field: str, value: float, minimum: float, maximum: float) -> float:
    """Return the number if it is in the range; NaN is not. Raises InvalidField."""
    if not minimum <= value <= maximum:
        raise InvalidField(field, f"must be {minimum:g} to {maximum:g}", value)
    return value


def at_most(field: str, values: Sequence[object], limit: int, minimum: int = 0) -> None:
    """Raise InvalidField if there are more values than `limit`, or fewer than `minimum`."""
    if not minimum <= len(values) <= limit:
        rule = f"must be {minimum} to {limit}" if minimum else f"must be at most {limit}"
        raise InvalidField(field, rule, len(values))


def sha256(value: bytes, field: str = "sha256") -> bytes:
    """Return the hash, which must have 32 bytes. Raises InvalidField."""
    if len(value) != 32:
        raise InvalidField(field, "must be 32 bytes", Measure(f"{len(value)} bytes"))
    return value


def side(field: str, value: int) -> int:
    """Return a width or height in pixels. Raises InvalidField."""
    if not 0 <= value <= MAX_SIDE:
        raise InvalidField(field, f"must be 0 to {MAX_SIDE} pixels", value)
    return value


def file_size(field: str, value: int) -> int:
    """Return how many bytes a file has. Raises InvalidField."""
    if not 0 <= value <= MAX_FILE_SIZE:
        raise InvalidField(field, f"must be 0 to {MAX_FILE_SIZE} bytes", value)
    return value


def text(field: str, value: str, *, minimum: int, maximum: int) -> str:
    """Return the text if it has `minimum` to `maximum` bytes and no NUL. Raises InvalidField."""
    size = len(value) if value.isascii() else len(value.encode())
    if not minimum <= size <= maximum:
        raise InvalidField(field, f"must be {minimum} to {maximum} bytes", Measure(f"{size} bytes"))
    if "\0" in value:  # PostgreSQL cannot store it
        raise InvalidField(field, "must not contain the character NUL", value)
    return value


def uri(field: str, value: str) -> str:
    """Return the URI of a reference, 1 to 2,048 bytes. Raises InvalidField."""
    return text(field, value, minimum=1, maximum=2048)


def product(field: str, value: str, minimum: int = 0) -> str:
    """Return the name of a product or variant, at most 256 bytes. Raises InvalidField."""
    return text(field, value, minimum=minimum, maximum=256)


def stamp(field: str, value: str) -> str:
    """Return the stamp of a reference, at most 256 bytes. Raises InvalidField."""
    return text(field, value, minimum=0, maximum=256)


def labels(field: str, values: Mapping[str, str]) -> None:
    """Raise InvalidField if there are too many labels, or if one breaks a rule."""
    if len(values) > MAX_LABELS:
        raise InvalidField(field, f"must be at most {MAX_LABELS}", len(values))
    for name, value in values.items():
        label(field, name, value)


def label(field: str, name: str, value: str) -> tuple[str, str]:
    """Return one label: a name of 1 to 64 bytes, and a value of at most 256. Raises InvalidField."""
    text(field, name, minimum=1, maximum=constants.MAX_LABEL_NAME_BYTES)
    try:
        return name, text(field, value, minimum=0, maximum=constants.MAX_LABEL_VALUE_BYTES)
    except InvalidField as error:
        raise InvalidField(f"{field}[{name!r}]", error.rule, error.value) from None
