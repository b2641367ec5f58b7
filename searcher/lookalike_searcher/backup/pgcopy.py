"""PostgreSQL's binary COPY, read row by row as its bytes arrive: rows of somebody else's making are checked so.

https://www.postgresql.org/docs/current/sql-copy.html, under "Binary Format".
"""

import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

_BEGINNING: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""The signature, no flags, no header extension."""
_COUNT: Final = struct.Struct(">h")
_SIZE: Final = struct.Struct(">i")
_END: Final = -1
_NULL: Final = -1


@dataclass(frozen=True)
class Column:
    """What a column may hold.

    Attributes:
        name: of it, for errors.
        most: bytes that a value may have.
        check: is given each value, and raises ValueError for what it may not be; None: the row's reader knows better.
        nullable: whether there may be no value.
    """

    name: str
    most: int
    check: Callable[[str, bytes], object]
    nullable: bool = False


class Malformed(ValueError):
    """The bytes are no rows, or rows with what may not be in them. The message says what."""


class Rows:
    """Takes a table's bytes piece by piece, and gives back those of whole rows, checked."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._data = bytearray()
        self._begun = self._ended = False
        self.count = 0

    def take(self, piece: bytes) -> bytes:
        """The rows that are whole by now. Raises Malformed, and whatever checks raise."""
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
        """Raise Malformed if they end in the middle."""
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
        """Where the row ends that begins here, once it is checked; None if it is not whole yet."""
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
            if not (0 <= size <= column.most or (size == _NULL and column.nullable)):
                rule = f"0 to {column.most} bytes{', or none' if column.nullable else ''}"
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
    """The rows of the source, each checked before it is passed on. Holds a piece and a row at most."""
    rows = Rows(columns)
    async for piece in source:
        if done := rows.take(piece):
            yield done
    rows.end()
