"""Read manifests, which have a row for each image and the columns uri, product, variant and staged.

Every other column is a label. Columns whose names begin with `_` are ignored: a run writes its failures as a manifest
that can be indexed again, and uses such columns for the errors. One of them is read: in a manifest of this machine,
`_origin` names the manifest that the item first came from, so that the list of failures gives the item no more rights.
"""

import csv
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from importlib.util import find_spec
from io import TextIOWrapper
from typing import IO, Any, Final
from urllib.parse import urlsplit

from lookalike.errors import InvalidRequestError
from lookalike.fetch import origin as origins
from lookalike.fetch import url as urls
from lookalike.fetch.local import is_local
from lookalike.records import Item, Origin
from lookalike.regular_file import open_regular
from lookalike.sources.folder import uri_of

_TRUE: Final = ("true", "1", "yes", "t", "y")
_FALSE: Final = ("", "false", "0", "no", "f", "n", "none")
_PARQUET_BATCH_ROWS: Final = 4096
ORIGIN: Final = "_origin"
"""The column of a list of failures that names the item's first manifest, if that is not a file of this machine."""
PRIVATE: Final = "_private"
"""The column of a list of failures that tells whether the address of the first manifest is not public."""
_ROW_ERROR: Final = "\0"
"""The key of the error message in a row that could not be parsed; no column has this name."""

Rows = Iterable[tuple[int, Mapping[str, Any]]]
OnFailure = Callable[[str, InvalidRequestError], None]
"""A function that is called for each invalid row, with its position and the error."""


class Format(StrEnum):
    """Format is the file format of a manifest."""

    AUTO = "auto"
    """The file's extension tells the format; on standard input, the first line does."""
    CSV = "csv"
    """The file is CSV with a header line."""
    JSONL = "jsonl"
    """Each line is a JSON object."""
    PARQUET = "parquet"
    LINES = "lines"
    """Each line is a URI."""


_EXTENSIONS: Final[Mapping[str, Format]] = {
    ".csv": Format.CSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".txt": Format.LINES,
}


def format_of(name: str) -> Format | None:
    """Return the format of a manifest with this file name or URL; None if the name is not that of a manifest."""
    path = urlsplit(name).path if is_web(name) else name
    return _EXTENSIONS.get(os.path.splitext(path)[1].lower())


def is_web(name: str) -> bool:
    """Return whether the name is a URL of http or https."""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and scheme.lower() in origins.WEB


def file_items(path: str, form: Format, failed: OnFailure) -> Iterator[Item]:
    """Yield the items of a manifest file. Relative URIs are relative to the folder of the manifest.

    Args:
        path: the path of the file.
        form: the format of the manifest.
        failed: is called for each invalid row.

    Raises:
        InvalidRequestError: the file is not a manifest.
        OSError: the file cannot be read.
    """
    base = os.path.dirname(os.path.realpath(path))
    with open(open_regular(path), "rb") as file:
        yield from binary_items(file, form, path, base, failed)


def binary_items(
    file: IO[bytes], form: Format, name: str, base: str, failed: OnFailure, origin: Origin | None = None
) -> Iterator[Item]:
    """Yield the items of a manifest that is open in binary mode; arguments and errors are those of `stream_items`."""
    if form is Format.PARQUET:
        yield from _items(_parquet(file, name), name, base, failed, origin)
    else:
        with TextIOWrapper(file, "utf-8-sig", newline="") as text:
            yield from stream_items(text, form, name, base, failed, origin)


def stream_items(
    file: IO[str], form: Format, name: str, base: str, failed: OnFailure, origin: Origin | None = None
) -> Iterator[Item]:
    """Yield the items of a manifest that is open in text mode. Raises as `file_items`.

    Args:
        file: the open manifest.
        form: the format of the manifest.
        name: the name of the manifest in messages.
        base: what relative URIs are relative to: the path or URL of a folder, or the http(s) URL of the manifest.
        failed: is called for each invalid row.
        origin: where the manifest comes from, if it is not a file of this machine.
    """
    try:
        lines = iter(file)
        first = next(lines, "").removeprefix("\ufeff")
        reader = _READERS.get(_guess_format(first) if form is Format.AUTO else form)
        if not reader:
            raise _invalid_manifest(name, f"{form} cannot be read as text")
        yield from _items(reader(itertools.chain((first,), lines)), name, base, failed, origin)
    except (UnicodeDecodeError, csv.Error) as error:
        raise _invalid_manifest(name, str(error)) from error


def _guess_format(line: str) -> Format:
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
            row = {_ROW_ERROR: f"is not JSON: {error}"}
        yield number, row if isinstance(row, dict) else {_ROW_ERROR: "is not a JSON object"}


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
        for batch in file.iter_batches(_PARQUET_BATCH_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except ArrowException as error:
        raise _invalid_manifest(name, str(error)) from error


_READERS: Final = {Format.CSV: _csv, Format.JSONL: _jsonl, Format.LINES: _lines}


def _items(rows: Rows, name: str, base: str, failed: OnFailure, origin: Origin | None) -> Iterator[Item]:
    first = True
    for number, row in rows:
        if first and "uri" not in row and _ROW_ERROR not in row:
            raise _invalid_manifest(name, f"it has no column `uri`; its columns are {', '.join(map(str, row))}")
        first = False
        try:
            yield _item(row, base, origin)
        except ValueError as error:
            failed(f"{name}:{number}", InvalidRequestError(f"{name}:{number}: {error}", reason="INVALID_ROW"))


def _item(row: Mapping[str, Any], base: str, origin: Origin | None) -> Item:
    """Return the item of a row. Raises ValueError if the row is not valid."""
    if _ROW_ERROR in row:
        raise ValueError(row[_ROW_ERROR])
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
    """Return the origin that the item had in the run in which it failed; None if it was this machine."""
    url = _text(ORIGIN, row.get(ORIGIN))
    return Origin(url, _flag(PRIVATE, row.get(PRIVATE))) if url else None


def _absolute(uri: str, base: str) -> str:
    if "://" in uri or is_local(uri):
        return uri
    if is_web(base):
        return urls.join(base, uri.replace("#", "%23"))  # an image has no fragments, but a file's name may have a #
    return f"{base}/{uri.removeprefix('./')}" if "://" in base else uri_of(os.path.normpath(os.path.join(base, uri)))


def _is_label(name: str, value: object) -> bool:
    is_column = name in ("", "uri", "product", "variant", "staged") or name.startswith("_")  # "": pandas' index column
    return not is_column and value is not None and value != ""


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list | bytes):
        raise ValueError(f"{name}: must be text or a number, got {value!r:.60}")  # noqa: TRY004 - callers expect ValueError
    return str(value)


def _flag(name: str, value: object) -> bool:
    text = str(value or "").strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"{name}: must be true or false, got {value!r}")


def _invalid_manifest(name: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"{name}: is not a valid manifest: {why}", reason="INVALID_MANIFEST")
