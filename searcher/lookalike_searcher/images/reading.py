"""Read what is stored: which images exist, one image, or all of them page by page."""

from collections.abc import Collection, Sequence

import asyncpg

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, fragment, statement
from lookalike_searcher.errors import InvalidField, NotFound
from lookalike_searcher.images.filter import Filter
from lookalike_searcher.images.image import LISTED_REFERENCES, Image, Listed, Reference, State, reference_of
from lookalike_searcher.images.parameters import columns, labels_json
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.space import Space
from lookalike_serving.fingerprint import NAME


async def stored(
    database: Database, project_name: str, sha256s: Sequence[bytes], space: str = "", *, fingerprint: bool = False
) -> list[bytes]:
    """Return those of the hashes that the project holds with a vector in the space; by default, the one that serves.

    For a derived space, its source counts, as that is what writers send. Where asked, they must have a fingerprint too.

    Raises:
        NotFound: there is no such project or space.
    """
    async with registry.reading(database, project_name) as (connection, project):
        base = project.base(project.in_space(space))
        rows = await connection.fetch(statement("image_stored", project.id), list(set(sha256s)))
        ids = {row["id"] for row in rows}
        missing = await _without_vector(connection, project, base, ids)
        if fingerprint and not project.fingerprints_disabled:
            held = await connection.fetch(statement("fingerprint_held", project.id), list(ids), NAME)
            missing |= ids - {row["image_id"] for row in held}
        return [row["sha256"] for row in rows if row["id"] not in missing]


async def states(
    database: Database, project_name: str, references: Sequence[Reference | None], space: str = ""
) -> list[State]:
    """Return what is stored of each reference whose image has a vector in the space; by default, the one that serves.

    None stands for a reference that cannot be stored. For a derived space, its source counts.

    Raises:
        NotFound: there is no such project or space.
    """
    async with registry.reading(database, project_name) as (connection, project):
        base = project.base(project.in_space(space))
        places = [place for place, reference in enumerate(references) if reference]
        possible = [reference for reference in references if reference]
        keys, labels = columns([reference.key for reference in possible]), list(map(labels_json, possible))
        rows = await connection.fetch(statement("reference_check", project.id), *keys, labels)
        missing = await _without_vector(connection, project, base, {row["image_id"] for row in rows})
    result = [State()] * len(references)
    for row in rows:
        if row["image_id"] not in missing:
            result[places[row["place"] - 1]] = State(row["sha256"], row["stamp"], row["same_labels"])
    return result


async def references_after(
    database: Database, project_name: str, uri_prefix: str, size: int, after: tuple[int, int] | None
) -> tuple[int, list[Listed]]:
    """Return the next references, oldest first; see `page`."""
    async with registry.reading(database, project_name) as (connection, project):
        sql = statement("reference_page", project.id)
        rows = await connection.fetch(sql, ended_at(project, after), uri_prefix, size)
        return project.id, [Listed(row["id"], reference_of(row), row["sha256"], row["stamp"]) for row in rows]


async def _without_vector(connection: Connection, project: Project, space: Space, ids: Collection[int]) -> set[int]:
    """Return the images among `ids` that have no vector in the space."""
    if space.complete or not ids:
        return set()
    rows = await connection.fetch(statement("vector_missing", project.id, space.id), list(ids))
    return {row["image_id"] for row in rows}


async def get(database: Database, project_name: str, *, sha256: bytes = b"", uri: str = "") -> Image:
    """Return the image with this hash, or else the one at this URI. Raises NotFound."""
    async with registry.reading(database, project_name) as (connection, project):
        if uri:
            image_id = await connection.fetchval(statement("image_at", project.id), uri)
        else:
            rows = await connection.fetch(statement("image_stored", project.id), [sha256])
            image_id = rows[0]["id"] if rows else None
        if image_id is None:
            raise NotFound.image_at(project.name, uri) if uri else NotFound.image(project.name, sha256)
        [image] = await of_ids(connection, project, [image_id])
        return image


async def thumbnail(database: Database, project_name: str, sha256: bytes) -> bytes:
    """Return the small picture of the image's fingerprint; empty if it has none. Raises NotFound for the project."""
    async with registry.reading(database, project_name) as (connection, project):
        rows = await connection.fetch(statement("fingerprint_read", project.id, key="sha256"), [sha256], NAME)
        return rows[0]["picture"] if rows else b""


async def of_ids(
    connection: Connection, project: Project, ids: Sequence[int], chosen: Filter | None = None
) -> list[Image]:
    """Return the images with these ids, in order of id, with the references that pass the filter."""
    conditions, arguments = (chosen or Filter()).conditions("reference", 3)
    sql = statement("image_get", project.id, filter=conditions)
    return _images(await connection.fetch(sql, ids, LISTED_REFERENCES, *arguments))


async def page(
    database: Database,
    project_name: str,
    chosen: Filter,
    missing_in_space: str,
    size: int,
    after: tuple[int, int] | None,
) -> tuple[int, list[Image]]:
    """Return the next images that pass the filter, in the order in which they were first indexed.

    Args:
        database: the database of the project.
        project_name: the name of the project.
        chosen: which images.
        missing_in_space: only images without a vector in this space, or in its source if it is derived; empty for all.
        size: the most images.
        after: the ids of the project and of the last image of the page before.

    Returns:
        The project's id, and the images.

    Raises:
        NotFound: there is no such project or space.
        InvalidField: the page before was of another project of the same name, which has been deleted.
    """
    async with registry.reading(database, project_name, "SET LOCAL plan_cache_mode = force_custom_plan;") as (
        connection,
        project,
    ):
        last_id = ended_at(project, after)
        conditions, arguments = chosen.conditions("reference", 3)
        missing = ""
        space_id = None
        if missing_in_space:
            lacking = project.base(project.in_space(missing_in_space))
            space_id, missing = lacking.id, fragment("image_without_vector")
        matching = fragment("image_matching") if chosen else ""
        sql = statement("image_page", project.id, space_id, missing=missing, matching=matching, filter=conditions)
        rows = await connection.fetch(sql, last_id, size, *arguments)
        return project.id, await of_ids(connection, project, [row["id"] for row in rows], chosen)


def ended_at(project: Project, after: tuple[int, int] | None) -> int:
    """Return the id at which the page before ended; 0 at the first page. Raises InvalidField for another project's."""
    if after and after[0] != project.id:
        raise InvalidField("page_token", "must be of this project", after)
    return after[1] if after else 0


def _images(rows: Sequence[asyncpg.Record]) -> list[Image]:
    """Return one image for each id. There is a row per reference; rows of an image follow one another."""
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
            featureless=group[0]["featureless"],
            file_size=group[0]["file_size"],
        )
        for image_id, group in of_image.items()
    ]
