"""Read a space of a project several times, for work that takes longer than one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection
from lookalike_searcher.errors import NotFound
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.space import Space


@dataclass(frozen=True)
class SpaceReader:
    """The reader reads the same space several times, each time in a transaction of its own.

    Attributes:
        database: the database of the project.
        project_name: the name of the project.
        project_id: the id of the project.
        space: the name of the space; empty for the one that serves, whichever that is each time.
        space_id: the id of the space of that name.
    """

    database: Database
    project_name: str
    project_id: int
    space: str
    space_id: int

    @asynccontextmanager
    async def reading(self, settings: str = "") -> AsyncIterator[tuple[Connection, Project, Space]]:
        """Lend a connection to read the space within the block. Yields it, and the project and the space as of now.

        Args:
            settings: see `Database.reading`.

        Raises:
            NotFound: the project or the space has been deleted, even if another one has its name now.
        """
        async with registry.reading(self.database, self.project_name, settings) as (connection, project):
            yield connection, project, self.space_of(project)

    def space_of(self, project: Project) -> Space:
        """Return the space as the project has it now. Raises as `reading`."""
        if project.id != self.project_id:
            raise NotFound.project(self.project_name)
        space = project.in_space(self.space)
        if self.space and space.id != self.space_id:  # it may have other dimensions
            raise NotFound.space(self.project_name, self.space)
        return space
