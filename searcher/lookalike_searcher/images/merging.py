"""Merge images into one, in one transaction: their references move to it, and they are deleted."""

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.errors import NotFound
from lookalike_searcher.images.insertion import Written
from lookalike_searcher.images.writing import settle
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project


@dataclass(frozen=True)
class Merged:
    """The numbers are those of references that were moved, and of images that were deleted."""

    references: int
    images: int


async def merge(database: Database, project_name: str, keep: bytes, duplicates: Sequence[bytes]) -> Merged:
    """Move the references of the duplicates that exist to the image that is kept, and delete those duplicates.

    Raises:
        NotFound: there is no such project, or no image that is to be kept.
    """
    async with registry.writing(database, project_name) as (connection, project):
        kept, others = await _ids(connection, project, keep, duplicates)
        moved = await connection.fetch(statement("reference_move", project.id), others, kept)
        deleted = await settle(connection, project, Written(unreferenced=set(others)))
    return Merged(len(moved), deleted)


async def preview(database: Database, project_name: str, keep: bytes, duplicates: Sequence[bytes]) -> Merged:
    """Return what `merge` would change now. Raises as it does."""
    async with registry.reading(database, project_name) as (connection, project):
        _, others = await _ids(connection, project, keep, duplicates)
        return Merged(await connection.fetchval(statement("reference_count_of", project.id), others), len(others))


async def _ids(
    connection: Connection, project: Project, keep: bytes, duplicates: Sequence[bytes]
) -> tuple[int, list[int]]:
    """Return the id of the image that is kept, and those of the duplicates that exist."""
    rows = await connection.fetch(statement("image_stored", project.id), [keep, *duplicates])
    ids = {row["sha256"]: row["id"] for row in rows}
    if keep not in ids:
        raise NotFound.image(project.name, keep)
    kept = ids.pop(keep)
    return kept, list(ids.values())
