"""Find out the format of a manifest, by its name or by its first bytes."""

import codecs
import csv
import os
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from lookalike.fetch import origin
from lookalike.sources.manifest import delimited
from lookalike.sources.manifest.columns import may_be_header


class Format(StrEnum):
    """Format is the file format of a manifest."""

    AUTO = "auto"
    """The file's name tells the format; if it does not, the first line does."""
    CSV = "csv"
    """The file has a header line, and fields that are separated by commas, semicolons, tabs or bars."""
    JSON = "json"
    """The file is a JSON array, or has a JSON object on each line."""
    JSONL = "jsonl"
    """Each line is a JSON object."""
    PARQUET = "parquet"
    XML = "xml"
    """The file is a product feed: RSS or Atom."""
    LINES = "lines"
    """Each line is a URI."""


_EXTENSIONS: Final[Mapping[str, Format]] = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".tab": Format.CSV,
    ".json": Format.JSON,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".xml": Format.XML,
    ".rss": Format.XML,
    ".atom": Format.XML,
    ".txt": Format.AUTO,
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".zip", ".zst"), Format.AUTO),  # refused when their first bytes are read
}
_COMPRESSED: Final = (".gz", ".bz2", ".xz")
_JSON: Final = re.compile(r"\{|\[\s*(?:[\[{\"\]]|$)").match


def format_of(name: str) -> Format | None:
    """Return the format of a manifest with this file name or URL; None if the name is not that of a manifest."""
    stem, extension = os.path.splitext(urlsplit(name).path if origin.is_web(name) else name)
    if extension.lower() in _COMPRESSED:
        return _EXTENSIONS.get(os.path.splitext(stem)[1].lower(), Format.AUTO)
    return _EXTENSIONS.get(extension.lower())


def format_of_bytes(head: bytes, form: Format) -> Format:
    """Return the format of a file that begins so, if that tells it; else the given one."""
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    text = head.removeprefix(codecs.BOM_UTF8).removeprefix(codecs.BOM_UTF16_LE).removeprefix(codecs.BOM_UTF16_BE)
    is_xml = text.replace(b"\0", b"").lstrip().startswith(b"<")  # in UTF-16 too
    return Format.XML if is_xml and form is Format.AUTO else form


def format_of_line(line: str, known: frozenset[str]) -> Format:
    """Return the format of a text whose first line that is not empty is given.

    Args:
        line: the line.
        known: folded names of columns that make a header of the line, beside our own.
    """
    if _JSON(line.lstrip()):
        return Format.JSON
    try:
        header = delimited.fields(line, delimited.separator_of(line, known))
    except csv.Error:
        return Format.LINES
    return Format.CSV if may_be_header(header, known) else Format.LINES
