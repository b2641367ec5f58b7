"""Read and write the file of one project's backup: a ZIP of PostgreSQL's binary COPY of each table, and a manifest.

A ZIP has a checksum for each member and its directory at the end, so that damage and truncation are detected. It is not
compressed, since vectors hardly can be. It is not pg_dump's format: a project is restored under other ids, which are in
the names of its schema and tables, and only rows of known tables are restored, never statements from the file.
"""

import json
import shutil
import struct
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from lookalike import atomic_file
from lookalike.constants import DEFAULT_DIMENSIONS

STANDARD: Final = Path("-")
"""This name stands for standard output and standard input."""
FORMAT: Final = 1
"""The version of the file's format. The rows in it have versions of their own, in the manifest."""
_MANIFEST: Final = "manifest.json"
_AT_ONCE: Final = 1 << 18
"""Bytes that are copied at a time."""
_MAX_MANIFEST_BYTES: Final = 128 << 20
"""The most bytes of a manifest; a derived space of 512 dimensions takes two million, one of 2,048 thirty-four."""
_MAX_MANIFEST_VALUES: Final = 500_000
"""The most values in a manifest; a century of days is a sixth of it. Each may take a hundred bytes of memory."""
_MAX_READ_BYTES: Final = 1 << 20
"""The most bytes that are read at a time, also of the directory: room for twenty thousand members."""
_BROKEN: Final = (
    zipfile.BadZipFile,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
"""Bytes that are no archive, or no manifest, raise one of these."""


class UnusableBackup(Exception):
    """The backup cannot be made or restored. The message says why."""


@dataclass(frozen=True)
class Table:
    """A table in a backup has columns, in the order of the file, and a number of rows."""

    columns: list[str]
    rows: int


@dataclass(frozen=True)
class Manifest:
    """The manifest holds all that the registry has of a project, by column, and the project's tables by name.

    Each of `spaces` has the id that its table of vectors is named by.
    """

    registry_version: int
    project: dict[str, Any]
    spaces: list[dict[str, Any]]
    projections: list[dict[str, Any]]
    impressions: list[dict[str, Any]]
    tables: Mapping[str, Table]

    def dimensions(self, space_id: int) -> int:
        """Return how many dimensions a space has; one in a backup of before has those of VGG16."""
        return next(
            int(space.get("dimensions", DEFAULT_DIMENSIONS)) for space in self.spaces if space["id"] == space_id
        )


@contextmanager
def written(file: Path) -> Iterator[zipfile.ZipFile]:
    """Yield a new archive, which gets its name, on disk, when the block ends without an error.

    Only its owner may read it. A file of that name is replaced. Raises OSError if that is not a file, but a link.
    """
    if file == STANDARD:
        with _output() as stream, zipfile.ZipFile(stream, "w") as archive:
            yield archive
        return
    with atomic_file.replacing(file, atomic_file.SECRET) as stream, zipfile.ZipFile(stream, "w") as archive:
        yield archive


@contextmanager
def member(archive: zipfile.ZipFile, table: str) -> Iterator[Callable[[bytes], Coroutine[Any, Any, None]]]:
    """Yield a function that writes the rows of a table. It raises UnusableBackup if the disk is full."""
    with archive.open(table, "w", force_zip64=True) as stream:

        async def write(rows: bytes) -> None:
            try:
                stream.write(rows)
            except OSError as error:  # this is not an error of the connection that the rows come from
                raise UnusableBackup(f"the backup cannot be written: {error}") from error

        yield write


async def rows(archive: zipfile.ZipFile, table: str) -> AsyncIterator[bytes]:
    """Yield the rows of a table.

    Raises UnusableBackup if they cannot be read, or are damaged, perhaps only at the end.
    """
    try:
        with archive.open(_stored(archive, table)) as stream:
            while read := stream.read(_AT_ONCE):
                yield read
    except OSError as error:
        raise UnusableBackup(f"the backup cannot be read: {error}") from error
    except _BROKEN as error:
        raise UnusableBackup(f"the backup is damaged: {table}: {error}") from error


def write_manifest(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Write the manifest, last, as it has the counts. Raises UnusableBackup if it is too large to be restored."""
    data = json.dumps({"format": FORMAT, **asdict(manifest)}).encode()
    if len(data) > _MAX_MANIFEST_BYTES:
        raise UnusableBackup(
            f"the project has too many derived spaces: {len(data)} bytes, of {_MAX_MANIFEST_BYTES} at most"
        )
    archive.writestr(_MANIFEST, data)


@contextmanager
def opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """Yield the archive and its manifest. Neither has been checked yet.

    Raises:
        UnusableBackup: the file is broken, or of a newer format.
        OSError: the file cannot be read.
    """
    with _input() if file == STANDARD else atomic_file.opened(file) as raw, ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(_Bounded(raw)))
            manifest = _manifest(json.loads(_text(archive)))
        except _BROKEN as error:
            raise UnusableBackup(f"{file} is no backup of a project, or is damaged: {error}") from error
        yield archive, manifest


@contextmanager
def _output() -> Iterator[BinaryIO]:
    """Yield standard output. An archive that was begun there and not ended is refused when it is restored."""
    if sys.stdout.isatty():
        raise UnusableBackup("a backup is nothing for a terminal: send standard output to a file, by > FILE")
    yield sys.stdout.buffer
    sys.stdout.flush()


@contextmanager
def _input() -> Iterator[BinaryIO]:
    """Yield standard input if it is a file; else a file of what can be read there, as an archive begins at its end."""
    if sys.stdin.buffer.seekable():
        yield sys.stdin.buffer
        return
    with tempfile.TemporaryFile() as spool:
        try:
            shutil.copyfileobj(sys.stdin.buffer, spool, _AT_ONCE)
        except OSError as error:
            folder = tempfile.gettempdir()
            raise UnusableBackup(
                f"standard input cannot be kept in {folder}: {error}; name a folder with more room in TMPDIR"
            ) from error
        yield spool


class _Bounded:
    """A file of which little is read at a time, whatever its own content claims."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_READ_BYTES:
            raise zipfile.BadZipFile(f"it asks for {size} bytes at once, of {_MAX_READ_BYTES} at most")
        return self._file.read(size if size >= 0 else _MAX_READ_BYTES)  # zipfile reads its directory so


def _stored(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Return a member that is not compressed, as we write them: a compressed one may be a zip bomb."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise zipfile.BadZipFile(f"{name} is compressed")
    return info


def _text(archive: zipfile.ZipFile) -> bytes:
    """Return the manifest, unless it would take more memory than one that we write."""
    info = _stored(archive, _MANIFEST)
    if info.file_size > _MAX_MANIFEST_BYTES:
        raise zipfile.BadZipFile(f"its manifest has {info.file_size} bytes, of {_MAX_MANIFEST_BYTES} at most")
    with archive.open(info) as stream:
        data = b"".join(iter(partial(stream.read, _AT_ONCE), b""))
    if (count := sum(map(data.count, (b",", b"[", b"{")))) > _MAX_MANIFEST_VALUES:
        raise zipfile.BadZipFile(f"its manifest has {count} values, of {_MAX_MANIFEST_VALUES} at most")
    return data


def _manifest(fields: dict[str, Any]) -> Manifest:
    if (number := fields.pop("format")) != FORMAT:
        raise UnusableBackup(f"the backup is of format {number}, which this version does not know; it knows {FORMAT}")
    tables = {name: Table(**table) for name, table in fields.pop("tables").items()}
    return Manifest(**fields, tables=tables)
