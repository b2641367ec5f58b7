"""Read the items of a manifest, from its bytes to the last stage."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import IO, Final

from lookalike.errors import InvalidRequestError
from lookalike.records import Item, Origin
from lookalike.regular_file import open_regular
from lookalike.sources.findings import Findings
from lookalike.sources.manifest import columns, compression, delimited, feed, json_rows, parquet, shapes, uri_lines
from lookalike.sources.manifest.format import Format, format_of_bytes, format_of_line
from lookalike.sources.manifest.options import Options
from lookalike.sources.manifest.row import Row, Rows, invalid_manifest
from lookalike.sources.manifest.row_items import RowItems
from lookalike.sources.manifest.text import Lines

_FIXED: Final = (Format.CSV, Format.PARQUET)
"""Formats in which all rows have the same columns."""


def file_items(path: str, options: Options, findings: Findings) -> Iterator[Item]:
    """Yield the items of a manifest file. Relative URIs are relative to the folder of the manifest.

    Args:
        path: the path of the file.
        options: how it is read.
        findings: takes the invalid rows, and what is left out of valid ones.

    Raises:
        InvalidRequestError: the file is not a manifest.
        OSError: the file cannot be read.
    """
    base = os.path.dirname(os.path.realpath(path))
    with open(open_regular(path), "rb") as file:
        yield from binary_items(file, path, base, options, findings)


def binary_items(
    file: IO[bytes], name: str, base: str, options: Options, findings: Findings, origin: Origin | None = None
) -> Iterator[Item]:
    """Yield the items of a manifest that is open in binary mode. Raises as `file_items`.

    Args:
        file: the open manifest.
        name: the name of the manifest in messages.
        base: what relative URIs are relative to: the path or URL of a folder, or the http(s) URL of the manifest.
        options: how it is read.
        findings: takes the invalid rows, and what is left out of valid ones.
        origin: where the manifest comes from, if it is not a file of this machine.
    """
    mapping, row_items = tuple(options.columns.items()), RowItems(base, origin)
    is_first = True
    with _rows(file, name, options, findings) as (form, rows):
        for row in shapes.translated(_unbroken(rows, name, findings), form, options.columns):
            place = f"{name}:{row.number}"
            try:
                found = columns.resolve(row.names, mapping, fixed=form in _FIXED) if row.names else None
                is_first = is_first and not found
                if row.is_header:
                    continue
                items = _items_of(row, found, row_items, place, options, findings)
            except ValueError as error:
                if is_first and isinstance(error, columns.ColumnError):
                    raise invalid_manifest(name, str(error)) from error
                findings.fail(place, InvalidRequestError(f"{place}: {error}", reason="INVALID_ROW"))
            else:
                findings.place = place
                yield from items


def _items_of(
    row: Row, found: columns.Columns | None, row_items: RowItems, place: str, options: Options, findings: Findings
) -> list[Item]:
    """Return the items of a row. Raises ValueError if it has none, or if something of it would be left out."""
    if found is None or row.error:
        raise ValueError(row.error)
    dropped: list[str] = []
    items = list(row_items.items(row, found, dropped))
    short = f"it has {row.missing} fields less than the header: they count as empty" if row.missing else ""
    if options.strict and (short or dropped):
        raise ValueError(short or "; ".join(dropped))
    if short:
        findings.note(place, "SHORT_ROW", f"{place}: {short}")
    for message in dropped:
        findings.note(place, "LABEL_DROPPED", f"{place}: {message}; the image is indexed without it")
    return items


@contextmanager
def _rows(file: IO[bytes], name: str, options: Options, findings: Findings) -> Iterator[tuple[Format, Rows]]:
    """Yield the format of a manifest, and its rows. Raises InvalidRequestError."""
    with compression.opened(file, name) as opened:
        try:
            form = format_of_bytes(opened.peek(64), options.form)
        except compression.ERRORS as error:
            raise _damaged(name, error) from error
        if form is Format.PARQUET:
            yield form, parquet.rows(opened, name, findings)
        elif form is Format.XML:
            yield form, feed.rows(opened, name)
        else:
            with closing(Lines(opened, options.encoding, name)) as lines:
                yield _text_rows(lines, form, name, options)


def _text_rows(lines: Lines, form: Format, name: str, options: Options) -> tuple[Format, Rows]:
    known = shapes.KNOWN | {columns.fold(source) for source in options.columns.values()}
    first = lines.peek()
    if form is Format.AUTO:
        form = format_of_line(first, known)
    if form is Format.CSV:
        return form, delimited.rows(lines, name, known)
    if form is Format.LINES:
        return form, uri_lines.rows(lines)
    return form, json_rows.line_rows(lines) if form is Format.JSONL else json_rows.rows(lines, name)


def _unbroken(rows: Rows, name: str, findings: Findings) -> Rows:
    """Yield the rows. If only some of them can be read, the rest is a failure. Raises as `file_items`."""
    is_empty = True
    try:
        for row in rows:
            yield row
            is_empty = is_empty and row.is_header
    except compression.ERRORS as error:
        problem = _damaged(name, error)
    except InvalidRequestError as error:
        problem = error
    else:
        return
    if is_empty:
        raise problem
    findings.fail(name, InvalidRequestError(f"{problem}; the rest of it is not read", reason=problem.reason))


def _damaged(name: str, error: Exception) -> InvalidRequestError:
    return invalid_manifest(name, f"it is damaged, or not complete: {error}")
