"""Write a project to a file, as of one point in time, while it is served and changed."""

import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from lookalike_searcher.backup import archive as archives
from lookalike_searcher.backup.archive import Manifest, Table, UnusableBackup
from lookalike_searcher.database import migration
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, schema_of, statement, vectors_of
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project

TABLES: Final = ("image", "image_reference", "feedback", "verdict", "fingerprint", "dismissal")
"""A project's tables other than those of vectors, each after the tables that it refers to."""
_SINCE: Final = {"fingerprint": 7, "dismissal": 8}
"""Tables that not all versions of a project's schema have, with the first that has them."""
PATIENCE_SECONDS: Final = 86_400.0
"""One statement may take so long here: it copies a whole table."""
_OF_INDEX: Final = ("index_time", "hnsw_options", "ef_search_10", "ef_search_100", "recall_target", "calibrated_count")
_NOT_KEPT: Final = {"project_id", "recall", "recall_count", *_OF_INDEX}
"""Columns of a space that are not in a backup. Indexes are built and calibrated again where it is restored."""


def tables_of(version: int) -> list[str]:
    """Return which of `TABLES` a project's schema of this version has."""
    return [table for table in TABLES if version >= _SINCE.get(table, 0)]


async def back_up(database: Database, name: str, file: Path) -> Project:
    """Write the project to the file, from one snapshot. Who drops its tables waits; on writers see `_snapshot`.

    Args:
        database: the database of the project; on Citus it needs two connections.
        name: the project's name.
        file: where to write it to, or `archive.STANDARD`.

    Raises:
        NotFound: there is no such project.
        UnusableBackup: its schema is not of this program's version, or what was written does not fit together.
        OSError: the file cannot be written.
    """
    with archives.written(file) as archive:
        async with _snapshot(database, name) as (connection, project):
            row = await connection.fetchrow(statement("backup_project"), project.id)
            assert row  # noqa: S101 - it has just been read in the same snapshot
            columns = json.loads(row["project"])
            _check_version(name, columns["schema_version"])
            spaces = [vectors_of(space.id) for space in project.spaces]
            tables = {table: await _copy(connection, project, table, archive) for table in (*TABLES, *spaces)}
        manifest = Manifest(
            registry_version=row["registry_version"],
            project=columns,
            spaces=[
                {column: value for column, value in space.items() if column not in _NOT_KEPT}
                for space in json.loads(row["spaces"])
            ],
            projections=json.loads(row["projections"]),
            impressions=json.loads(row["impressions"]),
            tables=tables,
        )
        check_counts(manifest)
        archives.write_manifest(archive, manifest)
    return project


@asynccontextmanager
async def _snapshot(database: Database, name: str) -> AsyncIterator[tuple[Connection, Project]]:
    """Lend a connection that sees the project at one moment. Writers do not wait, but on Citus until it has begun.

    There the registry and the project are on two machines, whose snapshots are taken one after the other.
    """
    async with AsyncExitStack() as writers_held:
        if database.sharded:
            await writers_held.enter_async_context(registry.writing(database, name))
        async with registry.reading(database, name) as (connection, project):
            await connection.execute(statement("backup_snapshot", project.id))
            await writers_held.aclose()
            yield connection, project


def check_counts(manifest: Manifest) -> None:
    """Check the registry's numbers against the rows, as nothing counts them again. Raises UnusableBackup."""
    counts = {"image_count": "image", "reference_count": "image_reference", "feedback_count": "feedback"}
    expected = {table: manifest.project.get(count, 0) for count, table in counts.items()}
    expected |= {vectors_of(space["id"]): expected["image"] for space in manifest.spaces if space["complete"]}
    for table, count in expected.items():
        if (rows := manifest.tables[table].rows) != count:
            raise UnusableBackup(f"the backup is damaged: {table} should have {count} rows, got {rows}")


def _check_version(name: str, version: int) -> None:
    if version != (latest := migration.latest_project_version()):
        raise UnusableBackup(
            f"project {name!r} has a schema of version {version}, and this program's is {latest}: back up with the"
            " version of lookalike that serves it"
        )


async def _copy(connection: Connection, project: Project, table: str, archive: zipfile.ZipFile) -> Table:
    schema = schema_of(project.id)
    columns = await columns_of(connection, f"{schema}.{table}")
    with archives.member(archive, table) as write:
        done = await connection.copy_from_table(
            table, schema_name=schema, columns=columns, output=write, format="binary"
        )
    return Table(columns, int(done.split()[-1]))


async def columns_of(connection: Connection, table: str) -> list[str]:
    """Return the names of a table's columns, in order; none if there is no such table."""
    return [row["name"] for row in await connection.fetch(statement("backup_columns"), table)]
