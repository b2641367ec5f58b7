"""Check PostgreSQL's binary COPY, row by row as its bytes arrive: the rows of a backup are not trusted.

See https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

_BEGINNING: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""The signature, without flags and without a header extension."""
_COUNT: Final = struct.Struct(">h")
_SIZE: Final = struct.Struct(">i")
_END: Final = -1
_NULL: Final = -1


@dataclass(frozen=True)
class Column:
    """The column of a table has a rule for its values.

    Attributes:
        name: its name, for errors.
        limit: the most bytes of a value.
        check: is called with the column's name and each value; raises ValueError for a value that is not allowed.
        nullable: whether a value may be missing.
    """

    name: str
    limit: int
    check: Callable[[str, bytes], object]
    nullable: bool = False


class Malformed(ValueError):
    """The bytes are not rows, or the rows break a rule. The message says how."""


class Rows:
    """The reader takes a table's bytes piece by piece, and returns the bytes of whole rows, checked."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._data = bytearray()
        self._begun = self._ended = False
        self.count = 0

    def take(self, piece: bytes) -> bytes:
        """Return the bytes of the rows that are complete by now. Raises Malformed, and all that checks raise."""
        self._data += piece
        at = self._beginning()
        while at is not None and not self._ended and (end := self._row(at)) is not None:
            at = end
        if self._ended and len(self._data) > (at or 0):
            raise Malformed(f"bytes follow the end of the rows, after row {self.count}")
        done = bytes(self._data[:at]) if at else b""
        del self._data[: len(done)]
        return done

    def end(self) -> None:
        """Raise Malformed if the rows do not have their end yet."""
        if not self._ended:
            raise Malformed(f"the rows end in the middle, after row {self.count}")

    def _beginning(self) -> int | None:
        if self._begun:
            return 0
        if not _BEGINNING.startswith(self._data[: len(_BEGINNING)]):
            raise Malformed("they do not begin as rows do")
        self._begun = len(self._data) >= len(_BEGINNING)
        return len(_BEGINNING) if self._begun else None

    def _row(self, at: int) -> int | None:
        """Check the row that begins here, and return its end; None if it is not complete yet."""
        data, values = self._data, []
        if len(data) < at + _COUNT.size:
            return None
        (count,) = _COUNT.unpack_from(data, at)
        at += _COUNT.size
        if count == _END:
            self._ended = True
            return at
        if count != len(self._columns):
            raise Malformed(f"row {self.count + 1} has {count} columns, not {len(self._columns)}")
        for column in self._columns:
            if len(data) < at + _SIZE.size:
                return None
            (size,) = _SIZE.unpack_from(data, at)
            at += _SIZE.size
            if not (0 <= size <= column.limit or (size == _NULL and column.nullable)):
                rule = f"0 to {column.limit} bytes{', or none' if column.nullable else ''}"
                raise Malformed(f"{column.name} of row {self.count + 1} must be {rule}, got {size}")
            end = at + max(0, size)
            if len(data) < end:
                return None
            if size >= 0:
                values.append((column, bytes(data[at:end])))
            at = end
        self.count += 1
        for column, value in values:
            column.check(column.name, value)
        return at


async def checked(source: AsyncIterator[bytes], columns: Sequence[Column]) -> AsyncIterator[bytes]:
    """Yield the rows of the source, each after its check. At most a piece and a row are in memory."""
    rows = Rows(columns)
    async for piece in source:
        if done := rows.take(piece):
            yield done
    rows.end()
