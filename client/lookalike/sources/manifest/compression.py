"""Open compressed manifests, which their first bytes give away, whatever their names are."""

import bz2
import gzip
import io
import lzma
import zlib
from typing import IO, Final, cast

from lookalike.sources.manifest.row import invalid_manifest

ERRORS: Final = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)
"""What reading a damaged file raises."""

_REFUSED: Final = {
    b"PK\x03\x04": "it is a spreadsheet or a zip archive: save it as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "it is a spreadsheet of Excel: save it as CSV",
    b"\x28\xb5\x2f\xfd": "it is compressed with zstd, which is not read: unpack it, or use gzip",
}


def opened(file: IO[bytes], name: str) -> io.BufferedReader:
    """Return the file, unpacked if it is compressed. Raises InvalidRequestError."""
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", file))
    head = buffered.peek(8)
    for magic, why in _REFUSED.items():
        if head.startswith(magic):
            raise invalid_manifest(name, why)
    unpacked: object = None
    if head.startswith(b"\x1f\x8b"):
        unpacked = gzip.GzipFile(fileobj=buffered)
    elif head.startswith(b"BZh"):
        unpacked = bz2.BZ2File(buffered)
    elif head.startswith(b"\xfd7zXZ\x00"):
        unpacked = lzma.LZMAFile(buffered)  # noqa: SIM115 - the caller closes it
    return io.BufferedReader(cast("io.RawIOBase", unpacked)) if unpacked else buffered
