"""Read rows of fields that are separated by commas, semicolons, tabs or bars, below a header line."""

import csv
import re
from collections.abc import Iterator
from typing import Final

from lookalike.sources.manifest.columns import known_count
from lookalike.sources.manifest.row import Row, Rows, invalid_manifest
from lookalike.sources.manifest.text import Lines

_SEPARATORS: Final = (",", ";", "\t", "|")
_EXCEL_HINT: Final = re.compile(r"\s*sep=(.)\s*", re.IGNORECASE).fullmatch
"""Matches a first line by which Excel says what the separator is."""


def rows(lines: Lines, name: str, known: frozenset[str]) -> Rows:
    """Yield the header, and the rows below it; `known` has folded names of columns that a header may have."""
    header_line = lines.peek()
    separator = ""
    if hint := _EXCEL_HINT(header_line):
        separator = hint[1]
        next(lines)
        header_line = lines.peek()
    if not header_line:
        return
    reader = csv.reader(
        lines, delimiter=separator or separator_of(header_line, known), skipinitialspace=True, strict=True
    )
    try:
        names = tuple(field.strip() for field in next(reader))
    except csv.Error as error:
        raise invalid_manifest(name, f"line {lines.number}: {error}") from error
    if problem := lines.take_problem():
        raise invalid_manifest(name, f"line {lines.number} {problem}")
    yield Row(lines.number, names, is_header=True)
    yield from _rows(reader, lines, names)


def _rows(reader: Iterator[list[str]], lines: Lines, names: tuple[str, ...]) -> Rows:
    while True:
        begin = lines.number + 1
        try:
            values = [value.strip() for value in next(reader)]
            error = lines.take_problem()
        except StopIteration:
            return
        except csv.Error as problem:
            values, error = [], f"{problem}: lines {begin} to {lines.number} are left out; a quote may be missing there"
        if not values and not error:
            continue  # a blank line
        if any(values[len(names) :]):
            error = error or f"it has more fields than the header: {len(values)} of {len(names)}"
        if error:
            yield Row(lines.number, names, error=error)
            continue
        missing = max(0, len(names) - len(values))
        yield Row(lines.number, names, values[: len(names)] + [""] * missing, missing=missing)


def fields(line: str, separator: str) -> list[str]:
    """Return the fields of a line that ends in the last one. Raises csv.Error."""
    return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])


def separator_of(line: str, known: frozenset[str]) -> str:
    """Return the separator that makes most sense of a header line: it finds known columns, or else the most."""

    def sense(separator: str) -> tuple[int, int]:
        try:
            found = fields(line, separator)
        except csv.Error:
            return 0, 0
        return known_count(found, known), len(found)

    return max(_SEPARATORS, key=sense)
