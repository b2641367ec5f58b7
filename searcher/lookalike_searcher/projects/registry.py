"""The registry: projects by name, with their spaces."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from lookalike_searcher.database import migration
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, fragment, schema_of, statement
from lookalike_searcher.errors import AlreadyExists, NotFound
from lookalike_searcher.projects.space import Space


@dataclass(frozen=True)
class Limits:
    """What a project may hold and ask for; 0 stands for the searcher's own limit."""

    max_images: int = 0
    max_hits: int = 0
    searches_per_second: float = 0.0
    max_batch: int = 0


@dataclass(frozen=True)
class Project:
    """A row of the registry. `spaces` is empty where they were not asked for."""

    id: int
    name: str
    space: str
    image_count: int
    reference_count: int
    create_time: datetime
    update_time: datetime
    deleted_since_vacuum: int
    deleted_since_index: int
    limits: Limits
    search_disabled: bool
    spaces: tuple[Space, ...] = ()

    @property
    def serving(self) -> Space:
        """The space that serves."""
        return self.in_space("")

    def in_space(self, name: str) -> Space:
        """The space of that name; of none, the one that serves. Raises NotFound."""
        for space in self.spaces:
            if space.name == (name or self.space):
                return space
        raise NotFound.space(self.name, name)

    def base(self, space: Space) -> Space:
        """The space that a derived one is made of; any other one itself. Its vectors are what writers send."""
        return next((other for other in self.spaces if other.id == space.source_id), space)

    def derived(self, space: Space) -> list[Space]:
        """The spaces that are made of this one."""
        return [other for other in self.spaces if other.source_id == space.id]


def _project(rows: Sequence[asyncpg.Record], spaces: tuple[Space, ...] = ()) -> Project:
    row = rows[0]
    limits = Limits(row["max_images"], row["max_hits"], row["searches_per_second"], row["max_batch"])
    return Project(
        id=row["id"],
        name=row["name"],
        space=row["space"],
        image_count=row["image_count"],
        reference_count=row["reference_count"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        deleted_since_vacuum=row["deleted_since_vacuum"],
        deleted_since_index=row["deleted_since_index"],
        limits=limits,
        search_disabled=row["search_disabled"],
        spaces=spaces,
    )


def _the_one(name: str, rows: Sequence[asyncpg.Record]) -> Project:
    if not rows:
        raise NotFound.project(name)
    return _project(rows, tuple(Space.of(row) for row in rows))


async def create(database: Database, name: str, space: str, limits: Limits) -> Project:
    """Register a project and make its schema, both or neither.

    Raises:
        AlreadyExists: the name is taken.
    """
    async with database.writing() as connection:
        project_id = await connection.fetchval(
            statement("project_insert"),
            name,
            space,
            migration.latest_project_version(),
            limits.max_images,
            limits.max_hits,
            limits.searches_per_second,
            limits.max_batch,
        )
        if project_id is None:
            raise AlreadyExists.project(name)
        space_id = await connection.fetchval(statement("space_insert"), project_id, space, True)
        await database.shard_schemas(connection)
        await migration.create_schema(connection, project_id, space_id)
        return await read(connection, name)


async def get(database: Database, name: str) -> Project:
    """The project of that name. Raises NotFound."""
    async with database.reading() as connection:
        return await read(connection, name)


async def read(connection: Connection, name: str) -> Project:
    """The project of that name, in the caller's transaction. Raises NotFound."""
    return _the_one(name, await connection.fetch(statement("project_read", hold="", there=""), name))


@asynccontextmanager
async def reading(database: Database, name: str, settings: str = "") -> AsyncIterator[tuple[Connection, Project]]:
    """The project of that name, to be read in the block, whose statements all see the same state.

    Args:
        database: where it is.
        name: the project's.
        settings: see `Database.reading`.

    Raises:
        NotFound: there is none, also if it has just been deleted.
    """
    held, stale = statement("project_read", hold=fragment("project_hold"), there=fragment("project_there")), False
    while True:
        async with database.reading(settings, project=name) as connection:
            rows = await connection.fetch(held, name)
            if not all(row["held"] for row in rows):
                await connection.execute(statement("project_wait_for_writer"), rows[0]["id"])
                continue  # with a transaction that sees what is left
            if not stale and not all(row["there"] for row in rows):
                stale = True  # a table was dropped after our snapshot was taken and before we held it
                continue
            try:
                yield connection, _the_one(name, rows)
            except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
                raise NotFound.project(name) from error  # on a replica, which our locks do not reach
            return


@asynccontextmanager
async def writing(database: Database, name: str) -> AsyncIterator[tuple[Connection, Project]]:
    """The project of that name, to be changed in the block and by nobody else. Raises NotFound."""
    async with database.writing(project=name) as connection:
        await connection.execute(statement("project_lock"), name)
        yield connection, await read(connection, name)  # read after the wait for the lock, which is what counts


async def list_after(database: Database, name: str, limit: int, allowed: Sequence[str]) -> list[Project]:
    """At most `limit` projects whose names come after `name`, in order, without their spaces.

    Only those that are `allowed`: names, or beginnings of names that end in `*`.
    """
    patterns = list(map(_pattern, allowed))
    async with database.reading() as connection:
        rows = await connection.fetch(statement("project_list"), name, limit, patterns)
    return [_project([row]) for row in rows]


def _pattern(allowed: str) -> str:
    """It as LIKE has it, where `_` and `%` stand for others. Tokens hold no more than names have, and the asterisk."""
    return allowed.replace("_", r"\_").replace("*", "%")


async def update(database: Database, name: str, limits: Limits | None, *, search_disabled: bool | None) -> Project:
    """Replace the project's limits, and switch its searches off or on; None: they stay. Raises NotFound."""
    async with writing(database, name) as (connection, project):
        limits = limits or project.limits
        await connection.execute(
            statement("project_update"),
            project.id,
            limits.max_images,
            limits.max_hits,
            limits.searches_per_second,
            limits.max_batch,
            project.search_disabled if search_disabled is None else search_disabled,
        )
        return await read(connection, name)


async def delete(database: Database, name: str) -> None:
    """Drop the project's schema and forget its name, both or neither. Raises NotFound."""
    async with writing(database, name) as (connection, project):
        await connection.execute(statement("project_wait_for_readers"), project.id)
        await connection.execute(f"DROP SCHEMA {schema_of(project.id)} CASCADE")
        await connection.execute(statement("project_delete"), project.id)
