"""Restore a project from a file as a new one, in one transaction: it exists as a whole, or not at all."""

import json
import zipfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from lookalike_searcher import validation
from lookalike_searcher.backup import archive as archives
from lookalike_searcher.backup import manifest_rules, pgcopy
from lookalike_searcher.backup.archive import Manifest, Table, UnusableBackup
from lookalike_searcher.backup.backup import check_counts, columns_of, tables_of
from lookalike_searcher.backup.row_rules import column
from lookalike_searcher.database import migration
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, schema_of, statement, vectors_of
from lookalike_searcher.errors import AlreadyExists, InvalidField
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project

_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
"""PostgreSQL raises these for values that it does not accept."""


async def restore(database: Database, file: Path, name: str = "") -> Project:
    """Make a project from a backup, with ids of its own.

    Args:
        database: the database to restore to, migrated.
        file: the backup, or `archive.STANDARD`.
        name: the project's new name; empty: the name in the backup.

    Raises:
        AlreadyExists: there is a project of that name.
        InvalidField: the name breaks the rules.
        UnusableBackup: the file is broken, or of a newer version.
        OSError: the file cannot be read.
    """
    with archives.opened(file) as (archive, manifest):
        version = _checked(manifest)
        name = validation.project_name(name or manifest.project["name"])
        async with database.writing(project_name=name) as connection:
            try:
                ids = await _register(connection, name, manifest)
                await _make(database, connection, ids, manifest, version)
                await _fill(connection, ids, archive, manifest)
                await _check(connection, ids, manifest)
                await _describe(connection, ids, manifest)
            except _REFUSED as error:
                raise UnusableBackup(f"{file} is damaged: {error}") from error
            await migration.bring_up_to_date(connection, ids.project)
            return await registry.read(connection, name)


def _checked(manifest: Manifest) -> int:
    """Check the manifest by the rules of the wire. Returns the version of the project's schema."""
    try:
        versions = manifest.project["schema_version"], manifest.registry_version
        if all(isinstance(version, int) for version in versions):
            _check_versions(*versions)
        manifest_rules.check(manifest)
    except (ArithmeticError, AttributeError, InvalidField, LookupError, TypeError, ValueError) as error:
        raise UnusableBackup(f"the backup is damaged: {error}") from error
    return int(versions[0])


class _Ids:
    """The new project's id, and the new ids of its spaces by their old ones."""

    def __init__(self, project: int) -> None:
        self.project = project
        self.spaces: dict[int, int] = {}


def _check_versions(project: int, whole: int) -> None:
    supported = migration.latest_project_version(), migration.migrations("registry")[-1].number
    if project > supported[0] or whole > supported[1]:
        raise UnusableBackup(
            f"the backup has a schema of version {project} (registry {whole}), newer than this program's {supported[0]}"
            f" ({supported[1]}): restore it with the version of lookalike that made it, or a newer one"
        )


async def _register(connection: Connection, name: str, manifest: Manifest) -> _Ids:
    project_id = await _insert(connection, "lookalike_project", "id", {**manifest.project, "name": name})
    if project_id is None:
        raise AlreadyExists.project(name)
    ids = _Ids(project_id)
    for space in manifest.spaces:
        row = {column: value for column, value in space.items() if column != "id"} | {"project_id": project_id}
        if (space_id := await _insert(connection, "lookalike_space", "id", row)) is None:
            raise UnusableBackup(f"the backup is damaged: it has the space {space['name']!r} twice")
        ids.spaces[space["id"]] = space_id
    return ids


async def _describe(connection: Connection, ids: _Ids, manifest: Manifest) -> None:
    for projection in manifest.projections:
        own = {column: ids.spaces[projection[column]] for column in ("space_id", "source_id")}
        await _insert(connection, "lookalike_projection", "space_id", projection | own)
    for impression in manifest.impressions:
        await _insert(connection, "lookalike_impression", "project_id", impression | {"project_id": ids.project})


async def _insert(connection: Connection, table: str, key: str, row: Mapping[str, Any]) -> int | None:
    """Insert a row into the registry. Returns its key, or None if there is such a row already."""
    _same_columns(table, row, await columns_of(connection, table), all_of_them=False)
    sql = statement("restore_row", table=table, columns=", ".join(sorted(row)), key=key)
    key_made: int | None = await connection.fetchval(sql, json.dumps(row))
    return key_made


def _same_columns(table: str, columns: Iterable[str], own_columns: list[str], *, all_of_them: bool) -> None:
    """Check the file's columns against the database's, since they become part of statements."""
    if unknown := set(columns) - set(own_columns):
        raise UnusableBackup(f"the backup is damaged: {table} has no column {min(unknown)!r}")
    if all_of_them and (missing := set(own_columns) - set(columns)):
        raise UnusableBackup(f"the backup is damaged: it lacks the column {min(missing)!r} of {table}")


async def _make(database: Database, connection: Connection, ids: _Ids, manifest: Manifest, version: int) -> None:
    """Create the project's schema, empty, as of that version."""
    first, *further = sorted((new, manifest.dimensions(old)) for old, new in ids.spaces.items())
    await database.shard_schemas(connection)
    await migration.create_schema(connection, ids.project, *first, up_to=version)
    for space, dimensions in further:
        await migration.create_space(connection, ids.project, space, dimensions)


async def _fill(connection: Connection, ids: _Ids, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    names = {table: table for table in tables_of(manifest.project["schema_version"])}
    names |= {vectors_of(old): vectors_of(new) for old, new in ids.spaces.items()}
    dimensions = {vectors_of(old): manifest.dimensions(old) for old in ids.spaces}
    for old, new in names.items():
        source = _rows(archive, old, manifest.tables[old].columns, dimensions.get(old))
        await _copy(connection, schema_of(ids.project), new, source, old, manifest.tables[old])


async def _copy(
    connection: Connection, schema: str, table: str, source: AsyncIterator[bytes], member: str, expected: Table
) -> None:
    own_columns = await columns_of(connection, f"{schema}.{table}")
    _same_columns(table, expected.columns, own_columns, all_of_them=True)
    done = await connection.copy_to_table(
        table, schema_name=schema, columns=expected.columns, source=source, format="binary"
    )
    if done != f"COPY {expected.rows}":
        raise UnusableBackup(f"the backup is damaged: {member} should have {expected.rows} rows, got {done}")
    if "id" in own_columns:
        highest = await connection.fetchval(statement("restore_highest_id", table=f"{schema}.{table}"))
        await connection.execute(statement("restore_sequence", table=f"{schema}.{table}"), highest + 1)


async def _rows(
    archive: zipfile.ZipFile, member: str, columns: Sequence[str], dimensions: int | None
) -> AsyncIterator[bytes]:
    """Yield the rows of a member, each checked before PostgreSQL gets it; `dimensions` are those of a space's table."""
    table = "vector" if member.startswith("vector_") else member
    try:
        rules = [column(table, name, dimensions) for name in columns]
        async for piece in pgcopy.checked(archives.rows(archive, member), rules):
            yield piece
    except (InvalidField, LookupError, RecursionError, ValueError) as error:
        raise UnusableBackup(f"the backup is damaged: {member}: {error}") from error


async def _check(connection: Connection, ids: _Ids, manifest: Manifest) -> None:
    """Check what no constraint of the tables does."""
    check_counts(manifest)
    if manifest.project["space"] not in {space["name"] for space in manifest.spaces}:
        raise UnusableBackup(f"the backup is damaged: it lacks the space {manifest.project['space']!r}, which serves")
    if (sha256 := await connection.fetchval(statement("restore_unreferenced", ids.project))) is not None:
        raise UnusableBackup(f"the backup is damaged: image {sha256.hex()} has no reference")
    if (number := await connection.fetchval(statement("restore_half_query", ids.project))) is not None:
        raise UnusableBackup(f"the backup is damaged: feedback {number} must have both space and vector, or neither")
