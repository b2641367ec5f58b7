"""Know projects from one search to the next, so that the registry is read only when it has changed."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, Protocol, TypeVar
from weakref import WeakKeyDictionary

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, fill, fragment
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project


class HasSettings(Protocol):
    """An opening has the settings with which a transaction begins."""

    @property
    def settings(self) -> str:
        """Return `SET LOCAL` statements, each ended by a semicolon, or an empty text."""


Opening = TypeVar("Opening", bound=HasSettings)

_MOST: Final = 10_000
"""So many projects are known at most, of some kilobytes each."""


class Known(NamedTuple):
    """A known project is one as it was read. With it comes how PostgreSQL finds out whether it still is so.

    Attributes:
        project: the project.
        condition: a statement that returns one row if the project is unchanged, and holds it.
        limit: how many of the nearest to look at in a search of one statement, by which it finds out.
        versions: the versions of the project's rows, for `limit`, in one text: asyncpg takes long over lists.
    """

    project: Project
    condition: str
    limit: str
    versions: str


_OF_DATABASES: Final[WeakKeyDictionary[Database, dict[str, Known]]] = WeakKeyDictionary()


def recall(database: Database, name: str, space: str) -> Known | None:
    """Return the project of that name if it is known, and has the space. It may have changed meanwhile."""
    known = _OF_DATABASES.get(database, {}).get(name)
    return known if known and known.project.find_space(space) else None


async def changed(database: Database, connection: Connection, known: Known) -> Known | None:
    """Return a known project as it is now, or None if it is unchanged. Raises NotFound."""
    others = _others(database, known.project.name)
    project = await registry.read(connection, known.project.name)
    now = _remember(others, project)
    return None if now.versions == known.versions else now


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
    known = recall(database, name, space)
    if known:
        opening = opening_of(known.project)
        begun = database.reading_if(known.condition, opening.settings, project_name=name)
        async with begun as (connection, unchanged):
            if unchanged:
                with registry.deletion_noticed(name):
                    yield connection, known.project, opening
                return
    others = _others(database, name)
    async with registry.reading(database, name) as (connection, project):
        _remember(others, project)
        opening = opening_of(project)
        if opening.settings:
            await connection.execute(opening.settings)
        yield connection, project, opening


def _others(database: Database, name: str) -> dict[str, Known]:
    """Forget the project of that name, which is about to be read. Returns all others of the database."""
    projects = _OF_DATABASES.setdefault(database, {})
    projects.pop(name, None)
    return projects


def _remember(others: dict[str, Known], project: Project) -> Known:
    if len(others) >= _MOST:
        del others[next(iter(others))]  # the one that was read first
    known = others[project.name] = _known(project)
    return known


def _known(project: Project) -> Known:
    tables = "".join(fill(fragment("space_there"), project.id, space.id) for space in project.spaces)
    versions = versions_of(project)
    quoted = [f"'{text}'" for text in versions.split()]
    condition = fragment("project_unchanged").format(
        id=project.id, as_read=_as_read(project, quoted), tables_there=tables
    )
    parts = [f"split_part($12, ' ', {n})::{kind}" for n, kind in enumerate(("tid", "xid") * len(project.versions), 1)]
    limit = fragment("search_limit_if_unchanged").format(as_read=_as_read(project, parts))
    return Known(project, condition, limit, versions)


def versions_of(project: Project) -> str:
    """Return the versions of the project's rows as `search_limit_if_unchanged` takes them: place, number, and so on."""
    return " ".join(text for version in project.versions for text in version)


def _as_read(project: Project, versions: Sequence[str]) -> str:
    """Return the condition in SQL under which the rows of the project and its spaces have these versions."""
    places, numbers = versions[::2], versions[1::2]
    text = fragment("project_version").format(id=project.id, place=places[0], number=numbers[0])
    for space, place, number in zip(project.spaces, places[1:], numbers[1:], strict=True):
        text += fragment("space_version").format(id=space.id, place=place, number=number)
    return text
