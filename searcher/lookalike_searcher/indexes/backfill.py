"""Filling a derived space with what its source held before it came.

Since then writers write to both in one transaction. So what is read of the source, some vectors at a time in order of
their images, is written unless somebody has done so or the image is gone, while nobody else writes; and with it, how
far that is. Whoever is killed leaves the rest to the next one.
"""

from dataclasses import dataclass
from typing import Final

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import schema_of, statement, vectors_of
from lookalike_searcher.errors import NotFound
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.projection import projections_of

AT_ONCE: Final = 2048
"""Vectors of one transaction: writers wait for some 0.1 s."""
_ANY: Final = 2**63 - 1


@dataclass(frozen=True)
class _Page:
    """Projected vectors by their images, and up to which image the space is filled with them."""

    space_id: int
    vectors: dict[int, bytes]
    up_to: int


async def fill(database: Database, project: str, space: str) -> None:
    """Project what is left. Raises NotFound if the project or the space is deleted."""
    while not await step(database, project, space):
        pass


async def step(database: Database, project: str, space: str, size: int = AT_ONCE) -> bool:
    """Project the next vectors, at most `size`; whether they were the last. Raises NotFound."""
    page = await _read(database, project, space, size)
    async with registry.writing(database, project) as (connection, found):
        target = found.in_space(space)
        if target.id != page.space_id:  # another one has its name by now
            raise NotFound.space(project, space)
        source = f"{schema_of(found.id)}.{vectors_of(found.base(target).id)}"
        sql = statement("vector_underived", found.id, target.id, source=source)
        rows = await connection.fetch(sql, list(page.vectors))
        if rows:
            await connection.copy_records_to_table(
                vectors_of(target.id),
                schema_name=schema_of(found.id),
                columns=["image_id", "vector"],
                records=[(row["image_id"], page.vectors[row["image_id"]]) for row in rows],
            )
        last = len(page.vectors) < size
        await connection.execute(statement("projection_filled"), target.id, page.up_to, last)
    return last


async def _read(database: Database, project: str, space: str, size: int) -> _Page:
    async with registry.reading(database, project) as (connection, found):
        target = found.in_space(space)
        projection = await projections_of(database).of(connection, target.id)
        after = await connection.fetchval(statement("projection_place"), target.id)
        sql = statement("neighbour_page", found.id, found.base(target).id)
        rows = await connection.fetch(sql, after, _ANY, size)
    ids = [row["image_id"] for row in rows]
    projected = await projection.of([row["vector"] for row in rows])
    return _Page(target.id, dict(zip(ids, projected, strict=True)), ids[-1] if ids else after)
