"""The file of one project's backup: a ZIP of PostgreSQL's binary COPY for each table, and a manifest in JSON.

ZIP, as every member has a checksum and the directory comes last, so that damage and truncation are seen; not
compressed, as vectors hardly can be. Not pg_dump's format: a project is restored under other ids, which are in the
names of its schema and tables, and what is restored is then rows of known tables, never statements of the file's.
"""

import json
import struct
import zipfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from lookalike import atomic_file

FORMAT: Final = 1
"""Of the file, as told from the format of the rows in it, which the versions in the manifest tell."""
_MANIFEST: Final = "manifest.json"
_AT_ONCE: Final = 1 << 18
"""Bytes."""
_MOST_OF_MANIFEST: Final = 64 << 20
"""Bytes: each derived space has two million of them."""
_MOST_VALUES: Final = 500_000
"""Of a manifest: a century of days has a sixth. Each may take a hundred bytes of memory."""
_MOST_AT_ONCE: Final = 1 << 20
"""Bytes that are read at a time of a file, its directory included: room for twenty thousand members."""
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
"""What comes of bytes that are no archive, or no manifest."""


class UnusableBackup(Exception):
    """A backup cannot be made or restored so. The message says why."""


@dataclass(frozen=True)
class Table:
    """What a member holds: which columns, in order, and how many rows."""

    columns: list[str]
    rows: int


@dataclass(frozen=True)
class Manifest:
    """All that the registry holds of a project, by column, and its tables by their names.

    `spaces` bear the ids that their vectors' tables are named by.
    """

    registry_version: int
    project: dict[str, Any]
    spaces: list[dict[str, Any]]
    projections: list[dict[str, Any]]
    impressions: list[dict[str, Any]]
    tables: Mapping[str, Table]


@contextmanager
def written(file: Path) -> Iterator[zipfile.ZipFile]:
    """An archive to be filled, which is there under its name when the block has ended well, and then on the disk.

    Only its owner may read it. A file of that name is replaced. Raises OSError for what is none, such as a link.
    """
    with atomic_file.replacing(file, atomic_file.SECRET) as stream, zipfile.ZipFile(stream, "w") as archive:
        yield archive


@contextmanager
def member(archive: zipfile.ZipFile, table: str) -> Iterator[Callable[[bytes], Coroutine[Any, Any, None]]]:
    """What writes the rows of a table, however many. Raises UnusableBackup if the disk is full."""
    with archive.open(table, "w", force_zip64=True) as stream:

        async def write(rows: bytes) -> None:
            try:
                stream.write(rows)
            except OSError as error:  # not of the connection that the rows come from
                raise UnusableBackup(f"the backup cannot be written: {error}") from error

        yield write


async def rows(archive: zipfile.ZipFile, table: str) -> AsyncIterator[bytes]:
    """The rows of a table. Raises UnusableBackup if they cannot be read, or at the end if they are damaged."""
    try:
        with archive.open(_stored(archive, table)) as stream:
            while read := stream.read(_AT_ONCE):
                yield read
    except OSError as error:
        raise UnusableBackup(f"the backup cannot be read: {error}") from error
    except _BROKEN as error:
        raise UnusableBackup(f"the backup is damaged: {table}: {error}") from error


def write_manifest(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Written last, as it has the counts. Raises UnusableBackup if it could not be restored."""
    data = json.dumps({"format": FORMAT, **asdict(manifest)}).encode()
    if len(data) > _MOST_OF_MANIFEST:
        raise UnusableBackup(
            f"the project has too many derived spaces: {len(data)} bytes, of {_MOST_OF_MANIFEST} at most"
        )
    archive.writestr(_MANIFEST, data)


@contextmanager
def opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """The archive and its manifest, which say nothing of what is in them.

    Raises:
        UnusableBackup: it is broken, or of a newer format.
        OSError: it cannot be read, or is no file.
    """
    with atomic_file.opened(file) as raw, ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(_Bounded(raw)))
            manifest = _manifest(json.loads(_text(archive)))
        except _BROKEN as error:
            raise UnusableBackup(f"{file} is no backup of a project, or is damaged: {error}") from error
        yield archive, manifest


class _Bounded:
    """A file of which nobody reads much at a time, whatever the file says of itself."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > _MOST_AT_ONCE:
            raise zipfile.BadZipFile(f"it asks for {size} bytes at once, of {_MOST_AT_ONCE} at most")
        return self._file.read(size if size >= 0 else _MOST_AT_ONCE)  # all of it: the end of the directory


def _stored(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The member, as we write them: a compressed one may be a bomb."""
    found = archive.getinfo(name)
    if found.compress_type != zipfile.ZIP_STORED or found.file_size != found.compress_size:
        raise zipfile.BadZipFile(f"{name} is compressed")
    return found


def _text(archive: zipfile.ZipFile) -> bytes:
    """The manifest, unless it would take more memory than those that we write."""
    found = _stored(archive, _MANIFEST)
    if found.file_size > _MOST_OF_MANIFEST:
        raise zipfile.BadZipFile(f"its manifest has {found.file_size} bytes, of {_MOST_OF_MANIFEST} at most")
    with archive.open(found) as stream:
        data = b"".join(iter(partial(stream.read, _AT_ONCE), b""))
    if (count := sum(map(data.count, (b",", b"[", b"{")))) > _MOST_VALUES:
        raise zipfile.BadZipFile(f"its manifest has {count} values, of {_MOST_VALUES} at most")
    return data


def _manifest(found: dict[str, Any]) -> Manifest:
    if (number := found.pop("format")) != FORMAT:
        raise UnusableBackup(f"the backup is of format {number}, which this version does not know; it knows {FORMAT}")
    tables = {name: Table(**table) for name, table in found.pop("tables").items()}
    return Manifest(**found, tables=tables)
