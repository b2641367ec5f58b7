"""Read JSON: an object on each line, or an array of objects, which is read piece by piece."""

import json
import re
from typing import Any, Final

from lookalike.sources.manifest.row import Row, Rows, invalid_manifest
from lookalike.sources.manifest.text import Lines

_MAX_ROW: Final = 1024 * 1024
"""Characters of one element of an array."""
_NOT_BLANK: Final = re.compile(r"[^ \t\r\n]").search


class _Object(list[tuple[str, Any]]):
    """The names and values of a JSON object; a name may be there several times."""


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_Object)


def rows(lines: Lines, name: str) -> Rows:
    """Yield the elements of an array, or one object for each line. Raises InvalidRequestError."""
    first = lines.peek().strip()
    if first.startswith("["):
        return array_rows(lines, name)
    try:
        _DECODER.decode(first)
    except json.JSONDecodeError as error:
        if first and error.pos >= len(first):
            why = "it is one object over several lines: it must be an array of objects, or have one on each line"
            raise invalid_manifest(name, why) from error
    except RecursionError:
        pass  # a problem of this line
    return line_rows(lines)


def line_rows(lines: Lines) -> Rows:
    """Yield the object of each line."""
    for line in lines:
        problem = lines.take_problem()
        if problem:
            yield Row(lines.number, error=problem)
        elif line.strip():
            try:
                yield _row(lines.number, _DECODER.decode(line))
            except (ValueError, RecursionError) as error:
                yield Row(lines.number, error=f"is not JSON: {error}")


def array_rows(lines: Lines, name: str) -> Rows:
    """Yield the elements of an array. Raises InvalidRequestError where something is not JSON."""
    text, expects_comma = lines.chunk(), False
    at, number = text.index("[") + 1, lines.number
    while True:
        found = _NOT_BLANK(text, at)
        begin = found.start() if found else len(text)
        number += text.count("\n", at, begin)
        at = begin
        if text.startswith("]", at):
            return
        if expects_comma and text.startswith(",", at):
            at, expects_comma = at + 1, False
            continue
        try:
            if expects_comma and at < len(text):
                raise ValueError(f"expected `,` or `]`, got {text[at : at + 20]!r}")  # noqa: TRY301 - as JSON's own
            element, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            if more := lines.chunk() if len(text) - at < _MAX_ROW else "":
                text, at = text[at:] + more, 0
                continue
            raise invalid_manifest(name, f"line {number} is not JSON: {error}") from error
        problem = lines.take_problem()
        yield Row(number, error=problem) if problem else _row(number, element)
        number += text.count("\n", at, end)
        at, expects_comma = end, True


def _row(number: int, element: object) -> Row:
    if isinstance(element, str):
        return Row(number, ("uri",), (element,))
    if not isinstance(element, _Object):
        return Row(number, error="is not a JSON object")
    return Row(number, tuple(name for name, _ in element), [value for _, value in element])
