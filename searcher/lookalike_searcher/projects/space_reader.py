"""Read a space of a project several times, for work that takes longer than one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection
from lookalike_searcher.errors import NotFound
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.registry import Project
from lookalike_searcher.projects.space import Space


@dataclass(frozen=True)
class SpaceReader:
    """The reader reads the same space several times, each time in a transaction of its own."""

    database: Database
    project_name: str
    project_id: int
    space: str

    @asynccontextmanager
    async def reading(self, settings: str = "") -> AsyncIterator[tuple[Connection, Project, Space]]:
        """Lend a connection to read the space within the block. Yields it, and the project and the space as of now.

        Args:
            settings: see `Database.reading`.

        Raises:
            NotFound: the project or the space has been deleted, even if another one has its name now.
        """
        async with registry.reading(self.database, self.project_name, settings) as (connection, project):
            if project.id != self.project_id:
                raise NotFound.project(self.project_name)
            yield connection, project, project.in_space(self.space)
