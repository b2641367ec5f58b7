"""Keep the registry: projects by name, with their spaces."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from lookalike.constants import DEFAULT_DIMENSIONS
from lookalike.records import TuningPolicy
from lookalike_searcher.database import migration
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, fragment, schema_of, statement
from lookalike_searcher.errors import AlreadyExists, NotFound
from lookalike_searcher.projects.space import Space


@dataclass(frozen=True)
class Limits:
    """The limits say what a project may hold, and how much it may search; 0 stands for the searcher's own limit.

    Their order is that of the statements that store them.
    """

    max_images: int = 0
    max_hits: int = 0
    searches_per_second: float = 0.0
    max_batch: int = 0


class RowVersion(NamedTuple):
    """The version of a row is where it lies, and the number of the transaction that put it there."""

    place: str
    number: str


@dataclass(frozen=True)
class Project:
    """A project is a row of the registry; `spaces` and `versions` are empty in a list of projects.

    Attributes:
        versions: the versions of the project's row, and of each of its spaces' rows.
    """

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
    fingerprints_disabled: bool
    tuning_policy: TuningPolicy
    spaces: tuple[Space, ...] = ()
    versions: tuple[RowVersion, ...] = ()

    @property
    def serving(self) -> Space:
        """Return the space that searches use by default."""
        return self.in_space("")

    def in_space(self, name: str) -> Space:
        """Return the space of that name, or by default the one that serves. Raises NotFound."""
        if space := self.find_space(name):
            return space
        raise NotFound.space(self.name, name)

    def find_space(self, name: str) -> Space | None:
        """Return the space as `in_space` does, or None if there is no such space."""
        wanted = name or self.space
        return next((space for space in self.spaces if space.name == wanted), None)

    def base(self, space: Space) -> Space:
        """Return the source of a derived space, or another space itself. Writers send vectors in this space."""
        return next((candidate for candidate in self.spaces if candidate.id == space.source_id), space)

    def derived(self, space: Space) -> list[Space]:
        """Return the spaces that are derived from this one."""
        return [candidate for candidate in self.spaces if candidate.source_id == space.id]


def _project(row: asyncpg.Record, spaces: tuple[Space, ...] = (), versions: tuple[RowVersion, ...] = ()) -> Project:
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
        fingerprints_disabled=row["fingerprints_disabled"],
        tuning_policy=TuningPolicy(row["tuning_policy"]),
        spaces=spaces,
        versions=versions,
    )


def _only_project(name: str, rows: Sequence[asyncpg.Record]) -> Project:
    if not rows:
        raise NotFound.project(name)
    of_spaces = (RowVersion(row["space_place"], row["space_version"]) for row in rows)
    versions = (RowVersion(rows[0]["place"], rows[0]["version"]), *of_spaces)
    return _project(rows[0], tuple(Space.of(row) for row in rows), versions)


async def create(
    database: Database,
    name: str,
    space: str,
    limits: Limits,
    dimensions: int = DEFAULT_DIMENSIONS,
    tuning_policy: TuningPolicy = TuningPolicy.PROPOSE,
) -> Project:
    """Register a project and create its schema, both or neither.

    Args:
        database: the database of the project.
        name: the name of the project.
        space: the name of its first space.
        limits: the limits of the project.
        dimensions: how many dimensions the space has.
        tuning_policy: how far the searcher may tune it.

    Raises:
        AlreadyExists: the name is taken.
    """
    async with database.writing() as connection:
        project_id = await connection.fetchval(
            statement("project_insert"),
            name,
            space,
            migration.latest_project_version(),
            *astuple(limits),
            tuning_policy,
        )
        if project_id is None:
            raise AlreadyExists.project(name)
        space_id = await connection.fetchval(statement("space_insert"), project_id, space, dimensions, True)
        await database.shard_schemas(connection)
        await migration.create_schema(connection, project_id, space_id, dimensions)
        return await read(connection, name)


async def get(database: Database, name: str) -> Project:
    """Return the project of that name. Raises NotFound."""
    async with database.reading() as connection:
        return await read(connection, name)


async def read(connection: Connection, name: str) -> Project:
    """Return the project of that name, in the caller's transaction. Raises NotFound."""
    return _only_project(name, await connection.fetch(statement("project_read", hold="", there=""), name))


@asynccontextmanager
async def reading(database: Database, name: str, settings: str = "") -> AsyncIterator[tuple[Connection, Project]]:
    """Lend a connection to read a project within the block; all its statements see the same state. Yields both.

    Args:
        database: the database of the project.
        name: the name of the project.
        settings: see `Database.reading`.

    Raises:
        NotFound: there is no such project, also if it has just been deleted.
    """
    held, stale = statement("project_read", hold=fragment("project_hold"), there=fragment("project_there")), False
    while True:
        async with database.reading(settings, project_name=name) as connection:
            rows = await connection.fetch(held, name)
            if not all(row["held"] for row in rows):
                await connection.execute(statement("project_wait_for_writer"), rows[0]["id"])
                continue  # with a new transaction, which sees what the writer has left
            if not stale and not all(row["there"] for row in rows):
                stale = True  # a table was dropped between our snapshot and our lock
                continue
            with deletion_noticed(name):
                yield connection, _only_project(name, rows)
            return


DELETED: Final = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)
"""What PostgreSQL raises where a project has been deleted."""


@contextmanager
def deletion_noticed(name: str) -> Iterator[None]:
    """Raise NotFound if the project is deleted within the block: on a replica, where our locks have no effect."""
    try:
        yield
    except DELETED as error:
        raise NotFound.project(name) from error


@asynccontextmanager
async def writing(database: Database, name: str) -> AsyncIterator[tuple[Connection, Project]]:
    """Lend a connection to change a project within the block, while nobody else does. Yields both. Raises NotFound."""
    async with database.writing(project_name=name) as connection:
        await connection.execute(statement("project_lock"), name)
        yield connection, await read(connection, name)  # read under the lock


async def wait_for_readers(database: Database, connection: Connection, project: Project) -> None:
    """Wait for those that read the project, so that its tables can be dropped in the caller's transaction."""
    await connection.execute(statement("project_wait_for_readers"), project.id)
    if not database.sharded:  # there, no search is made in one statement
        await connection.execute(statement("project_lock_tables", project.id))


async def list_after(database: Database, name: str, limit: int, allowed: Sequence[str]) -> list[Project]:
    """Return the first `limit` projects after `name`, in order of name, without their spaces.

    Only allowed ones are returned: `allowed` has names, or beginnings of names that end in `*`.
    """
    patterns = list(map(_pattern, allowed))
    async with database.reading() as connection:
        rows = await connection.fetch(statement("project_list"), name, limit, patterns)
    return [_project(row) for row in rows]


def _pattern(allowed: str) -> str:
    """Return the pattern for LIKE, in which `_` and `%` are special. Tokens hold only characters of names, and `*`."""
    return allowed.replace("_", r"\_").replace("*", "%")


async def update(
    database: Database,
    name: str,
    limits: Limits | None,
    *,
    search_disabled: bool | None = None,
    fingerprints_disabled: bool | None = None,
    tuning_policy: TuningPolicy | None = None,
) -> Project:
    """Replace the limits and the policy, switch searches or fingerprints; None changes nothing. Raises NotFound."""
    async with writing(database, name) as (connection, project):
        limits = limits or project.limits
        await connection.execute(
            statement("project_update"),
            project.id,
            *astuple(limits),
            project.search_disabled if search_disabled is None else search_disabled,
            project.fingerprints_disabled if fingerprints_disabled is None else fingerprints_disabled,
            tuning_policy or project.tuning_policy,
        )
        return await read(connection, name)


async def delete(database: Database, name: str) -> None:
    """Drop the project's schema and its row in the registry, both or neither. Raises NotFound."""
    async with writing(database, name) as (connection, project):
        await wait_for_readers(database, connection, project)
        await connection.execute(f"DROP SCHEMA {schema_of(project.id)} CASCADE")
        await connection.execute(statement("project_delete"), project.id)
