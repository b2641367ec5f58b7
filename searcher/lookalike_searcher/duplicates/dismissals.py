"""Remember which images somebody said to be no duplicates of one another, pair by pair."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.images.reading import ended_at
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project


@dataclass(frozen=True)
class Dismissal:
    """A dismissal is a pair, the lower hash first; `id` is its position in the list."""

    id: int
    sha256: bytes
    other_sha256: bytes
    create_time: datetime


async def dismiss(database: Database, project_name: str, sha256s: Sequence[bytes]) -> int:
    """Remember every pair of these images; of how many that is new. Raises NotFound."""
    lower, higher = zip(*combinations(sorted(set(sha256s)), 2), strict=True)
    async with registry.writing(database, project_name) as (connection, project):
        return len(await connection.fetch(statement("dismissal_insert", project.id), lower, higher))


async def page(
    database: Database, project_name: str, size: int, after: tuple[int, int] | None
) -> tuple[int, list[Dismissal]]:
    """Return the project's id, and the next dismissals, oldest first.

    Args:
        database: the database of the project.
        project_name: the name of the project.
        size: the most dismissals.
        after: the ids of the project and of the last dismissal of the page before.

    Raises:
        NotFound: there is no such project.
        InvalidField: the page before was of another project of the same name, which has been deleted.
    """
    async with registry.reading(database, project_name) as (connection, project):
        rows = await connection.fetch(statement("dismissal_page", project.id), ended_at(project, after), size)
        return project.id, [
            Dismissal(row["id"], row["sha256"], row["other_sha256"], row["create_time"]) for row in rows
        ]


async def delete(database: Database, project_name: str, sha256s: Sequence[bytes]) -> int:
    """Delete the pairs of these images, or all pairs of one; how many there were. Raises NotFound."""
    async with registry.writing(database, project_name) as (connection, project):
        if len(sha256s) == 1:
            return len(await connection.fetch(statement("dismissal_delete_of", project.id), *sha256s))
        return len(await connection.fetch(statement("dismissal_delete", project.id), sha256s))


async def stored(connection: Connection, project: Project) -> list[tuple[int, int]]:
    """Return the pairs of images that the project holds, by their ids."""
    rows = await connection.fetch(statement("dismissal_stored", project.id))
    return [(row["id"], row["other_id"]) for row in rows]
