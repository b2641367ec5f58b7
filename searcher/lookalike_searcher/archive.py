"""The file of one project's backup: a ZIP of PostgreSQL's binary COPY for each table, and a manifest in JSON.

ZIP, as every member has a checksum and the directory comes last, so that damage and truncation are seen; not
compressed, as vectors hardly can be. Not pg_dump's format: a project is restored under other ids, which are in the
names of its schema and tables, and what is restored is then rows of known tables, never statements of the file's.
"""

import json
import zipfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lookalike import atomic_file

FORMAT: Final = 1
"""Of the file, as told from the format of the rows in it, which the versions in the manifest tell."""
_MANIFEST: Final = "manifest.json"
_AT_ONCE: Final = 1 << 18
"""Bytes."""


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
    """The rows of a table. Raises BadZipFile at the end if they are damaged, UnusableBackup if they cannot be read."""
    with archive.open(table) as stream:
        while True:
            try:
                read = stream.read(_AT_ONCE)
            except OSError as error:
                raise UnusableBackup(f"the backup cannot be read: {error}") from error
            if not read:
                return
            yield read


def write_manifest(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Written last, as it has the counts."""
    archive.writestr(_MANIFEST, json.dumps({"format": FORMAT, **asdict(manifest)}))


@contextmanager
def opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """The archive and its manifest. Raises UnusableBackup if it is broken, or of a newer format; OSError."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive, _manifest(json.loads(archive.read(_MANIFEST)))
    except (zipfile.BadZipFile, AttributeError, EOFError, KeyError, TypeError, ValueError) as error:
        raise UnusableBackup(f"{file} is no backup of a project, or is damaged: {error}") from error


def _manifest(found: dict[str, Any]) -> Manifest:
    if (number := found.pop("format")) != FORMAT:
        raise UnusableBackup(f"the backup is of format {number}, which this version does not know; it knows {FORMAT}")
    tables = {name: Table(**table) for name, table in found.pop("tables").items()}
    return Manifest(**found, tables=tables)
