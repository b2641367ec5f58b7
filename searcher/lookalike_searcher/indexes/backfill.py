"""Fill a derived space with the vectors that its source had before the space was created.

Since its creation, writers write to both in one transaction. So vectors of the source are read in order of their
images, some at a time, and written while nobody else writes, unless they are written already or their image is gone.
The same transaction notes the progress, so that another searcher can go on after a kill.
"""

from dataclasses import dataclass
from typing import Final

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import MAX_ID, schema_of, statement, vectors_of
from lookalike_searcher.errors import NotFound
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.projection import projections_of

AT_ONCE: Final = 2048
"""One transaction writes so many vectors; writers wait for some 0.1 s."""


@dataclass(frozen=True)
class _Page:
    """Projected vectors by their images, and the id of the last image that was read."""

    space_id: int
    vectors: dict[int, bytes]
    up_to: int


async def fill(database: Database, project_name: str, space: str) -> None:
    """Project all vectors that are left. Raises NotFound if the project or the space is deleted."""
    while not await step(database, project_name, space):
        pass


async def step(database: Database, project_name: str, space: str, size: int = AT_ONCE) -> bool:
    """Project the next vectors, at most `size`. Returns whether these were the last ones. Raises NotFound."""
    page = await _read(database, project_name, space, size)
    async with registry.writing(database, project_name) as (connection, project):
        target = project.in_space(space)
        if target.id != page.space_id:  # another space has the name now
            raise NotFound.space(project_name, space)
        source = f"{schema_of(project.id)}.{vectors_of(project.base(target).id)}"
        sql = statement("vector_underived", project.id, target.id, source=source)
        rows = await connection.fetch(sql, list(page.vectors))
        if rows:
            await connection.copy_records_to_table(
                vectors_of(target.id),
                schema_name=schema_of(project.id),
                columns=["image_id", "vector"],
                records=[(row["image_id"], page.vectors[row["image_id"]]) for row in rows],
            )
        last = len(page.vectors) < size
        await connection.execute(statement("projection_filled"), target.id, page.up_to, last)
    return last


async def _read(database: Database, project_name: str, space: str, size: int) -> _Page:
    async with registry.reading(database, project_name) as (connection, project):
        target = project.in_space(space)
        projection = await projections_of(database).of(connection, target.id)
        after = await connection.fetchval(statement("projection_place"), target.id)
        sql = statement("neighbour_page", project.id, project.base(target).id)
        rows = await connection.fetch(sql, after, MAX_ID, size)
    ids = [row["image_id"] for row in rows]
    projected = await projection.of([row["vector"] for row in rows])
    return _Page(target.id, dict(zip(ids, projected, strict=True)), ids[-1] if ids else after)
