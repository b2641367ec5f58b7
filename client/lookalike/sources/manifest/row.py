"""Define the row, which all formats are read into, and the error of a manifest that cannot be read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Row:
    """A row holds the values of one line or record of a manifest.

    Attributes:
        number: the line on which it ends or begins, or its number in a file without lines, counted from 1.
        names: the names of its columns, as the manifest has them; a name may be there several times.
        values: a value for each name.
        error: why the row cannot be read; then it has no values, and names only if they are those of a header.
        is_header: whether it is the header alone, without values.
        missing: how many of its values the row lacks at its end.
    """

    number: int
    names: tuple[str, ...] = ()
    values: Sequence[Any] = ()
    error: str = ""
    missing: int = 0
    is_header: bool = False


Rows = Iterator[Row]


def invalid_manifest(name: str, why: str) -> InvalidRequestError:
    """Return the error of a file that is not a manifest."""
    return InvalidRequestError(f"{name}: is not a valid manifest: {why}", reason="INVALID_MANIFEST")
