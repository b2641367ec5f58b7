"""Read text line by line: decoded, counted and bounded."""

import codecs
import io
import re
from collections.abc import Iterator
from typing import Final

from lookalike.sources.manifest.row import invalid_manifest

_MAX_LINE: Final = 1024 * 1024
"""Characters of a line; a longer one is no row of a manifest."""
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ESCAPED: Final = re.compile("[\udc80-\udcff]").search
"""Matches what `surrogateescape` makes of bytes that are not UTF-8."""


class Lines:
    """Lines are read one by one from a text.

    A line that is not UTF-8, or no text, is a problem of its row, and of no other one.

    Args:
        file: the text, in binary mode.
        encoding: its encoding; empty: UTF-8, or what a byte order mark says.
        name: the name of the manifest in messages.

    Attributes:
        number: the number of the last line.
    """

    def __init__(self, file: io.BufferedReader, encoding: str, name: str) -> None:
        self._name, self._encoding = name, encoding or encoding_of(file.peek(4), name)
        errors = "surrogateescape" if self._encoding.startswith("utf-8") else "strict"
        self._file = io.TextIOWrapper(file, self._encoding, errors, newline="")
        self._peeked: str | None = None
        self._problem = ""
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        """Return the iterator itself."""
        return self

    def __next__(self) -> str:
        """Return the next line. Raises InvalidRequestError if it is too long, or not in the encoding that was named."""
        line = self.chunk()
        if not line:
            raise StopIteration
        if len(line) >= _MAX_LINE:
            raise invalid_manifest(self._name, f"line {self.number} has more than {_MAX_LINE} characters")
        return line

    def chunk(self) -> str:
        """Return the next line, or a part of it if it is long; empty at the end. Raises InvalidRequestError."""
        if self._peeked is not None:
            line, self._peeked = self._peeked, None
            return line
        try:
            line = self._file.readline(_MAX_LINE)
        except UnicodeError as error:
            raise invalid_manifest(self._name, f"line {self.number + 1} is not {self._encoding}: {error}") from error
        self.number += bool(line)
        if not line.isascii() and _ESCAPED(line):
            self._problem = self._problem or _not_utf8(line)
        if "\0" in line:
            self._problem = self._problem or f"is not text{_utf16_hint(line)}"
        return line

    def peek(self) -> str:
        """Return the next line that is not blank, without taking it; empty at the end. Blank lines are taken."""
        line = self.chunk()
        while line and not line.strip():
            line = self.chunk()
        if self._problem:
            raise invalid_manifest(self._name, f"line {self.number} {self._problem}")
        self._peeked = line
        return line

    def close(self) -> None:
        """Close the text, and its file."""
        self._file.close()

    def take_problem(self) -> str:
        """Return why one of the lines since the last call cannot be read; empty if all can."""
        problem, self._problem = self._problem, ""
        return problem


def encoding_of(head: bytes, name: str) -> str:
    """Return the encoding of a text that begins so. Raises InvalidRequestError if it looks like UTF-16."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" in head[:4]:
        guess = "utf-16-be" if head[:1] == b"\0" else "utf-16-le"
        raise invalid_manifest(
            name, f"line 1 is not UTF-8; it looks like UTF-16 without a byte order mark: use --encoding {guess}"
        )
    return "utf-8"


def _not_utf8(line: str) -> str:
    data = line.encode("utf-8", "surrogateescape").strip()
    try:
        guess = f"it looks like Windows-1252 or Latin-1 ({data.decode('cp1252')!r:.60}): use --encoding cp1252"
    except UnicodeDecodeError:
        guess = "use --encoding to name its encoding"
    return f"is not UTF-8; {guess}"


def _utf16_hint(line: str) -> str:
    return "; it may be UTF-16: use --encoding" if line.count("\0") * 3 > len(line) else ""
