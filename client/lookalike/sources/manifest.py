"""Manifests: a row for each image. Columns: uri, product, variant, staged; any other is a label.

Columns whose names begin with `_` are left out, as in the failures that a run writes, which can be fed back in; but
`_origin`, in a manifest of this machine, names another one that the item is of: so that list gives no more rights.
"""

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from importlib.util import find_spec
from io import TextIOWrapper
from typing import IO, Any, Final

from lookalike.errors import InvalidRequestError
from lookalike.fetch.local import is_local
from lookalike.records import Item, Origin
from lookalike.regular_file import open_regular
from lookalike.sources.folder import uri_of

_TRUE: Final = ("true", "1", "yes", "t", "y")
_FALSE: Final = ("", "false", "0", "no", "f", "n", "none")
_ROWS: Final = 4096
ORIGIN: Final = "_origin"
"""The column of a list of failures that names the manifest which the item is of, if that is not of this machine."""
PRIVATE: Final = "_private"
"""Likewise: whether that manifest's address is not public."""
_WRONG: Final = "\0"
"""In the place of a row that is none: why. No column is called so."""

Rows = Iterable[tuple[int, Mapping[str, Any]]]
Failed = Callable[[str, InvalidRequestError], None]
"""Is told of a row that cannot be taken: where it is, and why."""


class Format(StrEnum):
    """How a manifest is written."""

    AUTO = "auto"
    """By the file's extension; from standard input, by the first line."""
    CSV = "csv"
    """With a header."""
    JSONL = "jsonl"
    """A JSON object a line."""
    PARQUET = "parquet"
    LINES = "lines"
    """A URI a line."""


_EXTENSIONS: Final[Mapping[str, Format]] = {
    ".csv": Format.CSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".txt": Format.LINES,
}


def format_of(name: str) -> Format | None:
    """The format of a manifest of that name; None if it is none."""
    return _EXTENSIONS.get(os.path.splitext(name)[1].lower())


def file_items(path: str, form: Format, failed: Failed) -> Iterator[Item]:
    """Yield the items of a manifest's file. Relative URIs are files beside it.

    Args:
        path: of the file.
        form: how it is written.
        failed: is told of rows that cannot be taken.

    Raises:
        InvalidRequestError: it is no manifest.
        OSError: it cannot be read.
    """
    base = os.path.dirname(os.path.realpath(path))
    with open(open_regular(path), "rb") as file:
        yield from binary_items(file, form, path, base, failed)


def binary_items(
    file: IO[bytes], form: Format, name: str, base: str, failed: Failed, origin: Origin | None = None
) -> Iterator[Item]:
    """Yield the items of a manifest that is open; arguments and errors as `stream_items`."""
    if form is Format.PARQUET:
        yield from _items(_parquet(file, name), name, base, failed, origin)
    else:
        with TextIOWrapper(file, "utf-8-sig", newline="") as text:
            yield from stream_items(text, form, name, base, failed, origin)


def stream_items(
    file: IO[str], form: Format, name: str, base: str, failed: Failed, origin: Origin | None = None
) -> Iterator[Item]:
    """Yield the items of a manifest that is text; arguments and errors as `file_items`.

    Args:
        file: the text.
        form: how it is written.
        name: what it is called in messages.
        base: the folder, or the URL of one, of relative URIs.
        failed: is told of rows that cannot be taken.
        origin: what the manifest is, if it is not of this machine.
    """
    try:
        lines = iter(file)
        first = next(lines, "").removeprefix("\ufeff")
        reader = _READERS.get(_guessed(first) if form is Format.AUTO else form)
        if not reader:
            raise _no_manifest(name, f"{form} cannot be read as text")
        yield from _items(reader(_with(first, lines)), name, base, failed, origin)
    except (UnicodeDecodeError, csv.Error) as error:
        raise _no_manifest(name, str(error)) from error


def _with(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _guessed(line: str) -> Format:
    if line.lstrip().startswith("{"):
        return Format.JSONL
    header = next(csv.reader([line]), [])
    return Format.CSV if "uri" in [name.strip() for name in header] else Format.LINES


def _csv(lines: Iterator[str]) -> Rows:
    reader = csv.DictReader(lines)
    for row in reader:
        yield reader.line_num, row


def _jsonl(lines: Iterator[str]) -> Rows:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            row = {_WRONG: f"is not JSON: {error}"}
        yield number, row if isinstance(row, dict) else {_WRONG: "is no JSON object"}


def _lines(lines: Iterator[str]) -> Rows:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, {"uri": line.strip()}


def _parquet(stream: IO[bytes], name: str) -> Rows:
    if find_spec("pyarrow") is None:
        raise InvalidRequestError(f"{name}: needs the extra `parquet`: pip install 'lookalike[parquet]'")
    from pyarrow import ArrowException, parquet

    try:
        file = parquet.ParquetFile(stream)
        number = 0
        for batch in file.iter_batches(_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except ArrowException as error:
        raise _no_manifest(name, str(error)) from error


_READERS: Final = {Format.CSV: _csv, Format.JSONL: _jsonl, Format.LINES: _lines}


def _items(rows: Rows, name: str, base: str, failed: Failed, origin: Origin | None) -> Iterator[Item]:
    first = True
    for number, row in rows:
        if first and "uri" not in row and _WRONG not in row:
            raise _no_manifest(name, f"it has no column `uri`, but {', '.join(map(str, row))}")
        first = False
        try:
            yield _item(row, base, origin)
        except ValueError as error:
            failed(f"{name}:{number}", InvalidRequestError(f"{name}:{number}: {error}", reason="INVALID_ROW"))


def _item(row: Mapping[str, Any], base: str, origin: Origin | None) -> Item:
    """Raises ValueError."""
    if _WRONG in row:
        raise ValueError(row[_WRONG])
    if None in row:
        raise ValueError("it has more fields than the header")
    uri = row.get("uri")
    if not uri or not isinstance(uri, str):
        raise ValueError(f"uri: must be text, got {uri!r}")
    labels = {str(name): _text(name, value) for name, value in row.items() if _is_label(name, value)}
    return Item(
        image=None,
        uri=_absolute(uri, base),
        product=_text("product", row.get("product")),
        variant=_text("variant", row.get("variant")),
        staged=_flag("staged", row.get("staged")),
        labels=labels,
        origin=origin or _origin(row),
    )


def _origin(row: Mapping[str, Any]) -> Origin | None:
    """Whose the item was in the run in which it failed."""
    url = _text(ORIGIN, row.get(ORIGIN))
    return Origin(url, _flag(PRIVATE, row.get(PRIVATE))) if url else None


def _absolute(uri: str, base: str) -> str:
    if "://" in uri or is_local(uri):
        return uri
    return f"{base}/{uri.removeprefix('./')}" if "://" in base else uri_of(os.path.normpath(os.path.join(base, uri)))


def _is_label(name: str, value: object) -> bool:
    known = name in ("", "uri", "product", "variant", "staged") or name.startswith("_")  # "": of an index, by pandas
    return not known and value is not None and value != ""


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list | bytes):
        raise ValueError(f"{name}: must be text or a number, got {value!r:.60}")  # noqa: TRY004 - of all that is wrong
    return str(value)


def _flag(name: str, value: object) -> bool:
    text = str(value or "").strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"{name}: must be true or false, got {value!r}")


def _no_manifest(name: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"{name}: is no manifest: {why}", reason="INVALID_MANIFEST")
