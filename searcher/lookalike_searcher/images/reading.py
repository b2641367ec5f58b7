"""Reading what is stored: which images, one of them, all of them page by page."""

from collections.abc import Collection, Sequence

import asyncpg

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, fragment, statement
from lookalike_searcher.errors import InvalidField, NotFound
from lookalike_searcher.images.filter import Filter
from lookalike_searcher.images.image import LISTED_REFERENCES, Image, Listed, Reference, State, reference_of
from lookalike_searcher.images.parameters import columns, labels_json
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.registry import Project
from lookalike_searcher.projects.space import Space


async def stored(database: Database, project: str, sha256s: Sequence[bytes], space: str = "") -> list[bytes]:
    """Those of the hashes that the project holds with a vector in the space; in none, the one that serves.

    Of a derived space, its source counts: that is what writers would have to send.

    Raises:
        NotFound: there is no such project or space.
    """
    async with registry.reading(database, project) as (connection, found):
        chosen = found.base(found.in_space(space))
        rows = await connection.fetch(statement("image_stored", found.id), list(set(sha256s)))
        missing = await _without_vector(connection, found, chosen, {row["id"] for row in rows})
        return [row["sha256"] for row in rows if row["id"] not in missing]


async def states(
    database: Database, project: str, references: Sequence[Reference | None], space: str = ""
) -> list[State]:
    """What is stored of each of the references, with a vector in the space; in none, the one that serves.

    None stands for one that cannot be stored. Of a derived space, its source counts.

    Raises:
        NotFound: there is no such project or space.
    """
    async with registry.reading(database, project) as (connection, found):
        chosen = found.base(found.in_space(space))
        places = [place for place, reference in enumerate(references) if reference]
        possible = [reference for reference in references if reference]
        keys, labels = columns([reference.key for reference in possible]), list(map(labels_json, possible))
        rows = await connection.fetch(statement("reference_check", found.id), *keys, labels)
        missing = await _without_vector(connection, found, chosen, {row["image_id"] for row in rows})
    result = [State()] * len(references)
    for row in rows:
        if row["image_id"] not in missing:
            result[places[row["place"] - 1]] = State(row["sha256"], row["stamp"], row["same_labels"])
    return result


async def references_after(
    database: Database, project: str, uri_prefix: str, size: int, after: tuple[int, int] | None
) -> tuple[int, list[Listed]]:
    """The next references, oldest first; arguments, result and errors as those of `page`."""
    async with registry.reading(database, project) as (connection, found):
        sql = statement("reference_page", found.id)
        rows = await connection.fetch(sql, ended_at(found, after), uri_prefix, size)
        return found.id, [Listed(row["id"], reference_of(row), row["sha256"], row["stamp"]) for row in rows]


async def _without_vector(connection: Connection, project: Project, space: Space, ids: Collection[int]) -> set[int]:
    """Those of the images that have no vector in the space."""
    if space.complete or not ids:
        return set()
    rows = await connection.fetch(statement("vector_missing", project.id, space.id), list(ids))
    return {row["image_id"] for row in rows}


async def get(database: Database, project: str, *, sha256: bytes = b"", uri: str = "") -> Image:
    """The image with this hash, or else at this URI. Raises NotFound."""
    async with registry.reading(database, project) as (connection, found):
        if uri:
            image_id = await connection.fetchval(statement("image_at", found.id), uri)
        else:
            rows = await connection.fetch(statement("image_stored", found.id), [sha256])
            image_id = rows[0]["id"] if rows else None
        if image_id is None:
            raise NotFound.image_at(found.name, uri) if uri else NotFound.image(found.name, sha256)
        [image] = await of_ids(connection, found, [image_id])
        return image


async def of_ids(
    connection: Connection, project: Project, ids: Sequence[int], chosen: Filter | None = None
) -> list[Image]:
    """The images with these ids, in order of id, with those of their references that pass the filter."""
    conditions, arguments = (chosen or Filter()).conditions("reference", 3)
    sql = statement("image_get", project.id, filter=conditions)
    return _images(await connection.fetch(sql, ids, LISTED_REFERENCES, *arguments))


async def page(
    database: Database, project: str, chosen: Filter, missing_in_space: str, size: int, after: tuple[int, int] | None
) -> tuple[int, list[Image]]:
    """The next images that pass the filter, in the order in which they were first indexed.

    Args:
        database: where.
        project: the project's name.
        chosen: which images.
        missing_in_space: only those without a vector in this space, or its source if it is derived; empty for all.
        size: at most so many.
        after: the project's and the image's id of the last one on the page before.

    Returns:
        The project's id, and the images.

    Raises:
        NotFound: there is no such project or space.
        InvalidField: the page before was of a project of the same name that has been deleted.
    """
    async with registry.reading(database, project, "SET LOCAL plan_cache_mode = force_custom_plan;") as (
        connection,
        found,
    ):
        last_id = ended_at(found, after)
        conditions, arguments = chosen.conditions("reference", 3)
        missing = ""
        space_id = None
        if missing_in_space:
            lacking = found.base(found.in_space(missing_in_space))
            space_id, missing = lacking.id, fragment("image_without_vector")
        matching = fragment("image_matching") if chosen else ""
        sql = statement("image_page", found.id, space_id, missing=missing, matching=matching, filter=conditions)
        rows = await connection.fetch(sql, last_id, size, *arguments)
        return found.id, await of_ids(connection, found, [row["id"] for row in rows], chosen)


def ended_at(project: Project, after: tuple[int, int] | None) -> int:
    """Where the page before ended; 0 before the first."""
    if after and after[0] != project.id:
        raise InvalidField("page_token", "must be of this project", after)
    return after[1] if after else 0


def _images(rows: Sequence[asyncpg.Record]) -> list[Image]:
    """One image per id; the rows, one per reference, come image by image."""
    of_image: dict[int, list[asyncpg.Record]] = {}
    for row in rows:
        of_image.setdefault(row["image_id"], []).append(row)
    return [
        Image(
            id=image_id,
            sha256=group[0]["sha256"],
            width=group[0]["width"],
            height=group[0]["height"],
            create_time=group[0]["create_time"],
            references=tuple(reference_of(row) for row in group),
            reference_count=group[0]["reference_count"],
        )
        for image_id, group in of_image.items()
    ]
