"""Know projects from one search to the next, so that the registry is read only when it has changed."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, Protocol, TypeVar
from weakref import WeakKeyDictionary

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, fill, fragment
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.registry import Project


class HasSettings(Protocol):
    """What has settings: `SET LOCAL` statements, each ended by a semicolon."""

    @property
    def settings(self) -> str:
        """The settings; empty if there are none."""


Opening = TypeVar("Opening", bound=HasSettings)

_MOST: Final = 10_000
"""So many projects are known at most, of some kilobytes each."""


class _Known(NamedTuple):
    """A project as it was read, and the condition under which it still is so."""

    project: Project
    condition: str


_OF_DATABASES: Final[WeakKeyDictionary[Database, dict[str, _Known]]] = WeakKeyDictionary()


@asynccontextmanager
async def reading(
    database: Database, name: str, space: str, opening_of: Callable[[Project], Opening]
) -> AsyncIterator[tuple[Connection, Project, Opening]]:
    """Lend a connection as `registry.reading` does. Yields it, the project as it is now, and the opening.

    A known project costs no round trip: PostgreSQL compares the versions of its rows as the transaction begins. If one
    has another version, the registry is read. So any change is seen at once, whoever made it.

    Args:
        database: the database of the project.
        name: the name of the project.
        space: the name of the space that is wanted; another space that was made since may be missing.
        opening_of: returns what has the settings with which to read the project.

    Raises:
        NotFound: there is no such project.
    """
    projects = _OF_DATABASES.setdefault(database, {})
    known = projects.get(name)
    if known and known.project.find_space(space):
        opening = opening_of(known.project)
        begun = database.reading_if(known.condition, opening.settings, project_name=name)
        async with begun as (connection, unchanged):
            if unchanged:
                with registry.deletion_noticed(name):
                    yield connection, known.project, opening
                return
    projects.pop(name, None)
    async with registry.reading(database, name) as (connection, project):
        if len(projects) >= _MOST:
            del projects[next(iter(projects))]  # the one that was read first
        projects[name] = _Known(project, _unchanged(project))
        opening = opening_of(project)
        if opening.settings:
            await connection.execute(opening.settings)
        yield connection, project, opening


def _unchanged(project: Project) -> str:
    """Return the condition under which the project is as it was read."""
    own, *of_spaces = project.versions
    spaces, tables = "", ""
    for space, version in zip(project.spaces, of_spaces, strict=True):
        spaces += fragment("space_unchanged").format(id=space.id, place=version.place, number=version.number)
        tables += fill(fragment("space_there"), project.id, space.id)
    return fragment("project_unchanged").format(
        id=project.id, place=own.place, number=own.number, spaces_unchanged=spaces, tables_there=tables
    )
