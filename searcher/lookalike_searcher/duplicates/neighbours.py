"""Which images of a space are near one another: what the search for duplicates asks, whichever way it is answered."""

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection
from lookalike_searcher.errors import NotFound
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.registry import Project
from lookalike_searcher.projects.space import Space

TOLERANCE: Final = 1e-5
"""How far below the least similarity a near image's may be: half precision moves a cosine by about as much."""


@dataclass(frozen=True)
class Source:
    """A space of a project, as it was found once; it is read again and again, each time in a transaction of its own."""

    database: Database
    project: str
    project_id: int
    space: str

    @asynccontextmanager
    async def reading(self, settings: str = "") -> AsyncIterator[tuple[Connection, Project, Space]]:
        """Project and space as they are now, to be read in the block.

        Args:
            settings: see `Database.reading`.

        Raises:
            NotFound: the project or the space has been deleted, also if another one has its name now.
        """
        async with registry.reading(self.database, self.project, settings) as (connection, project):
            if project.id != self.project_id:
                raise NotFound.project(self.project)
            yield connection, project, project.in_space(self.space)


class Neighbours(Protocol):
    """Says which images are near: those whose cosine is at least a similarity that was set, less TOLERANCE.

    An image that is not there, or has no vector in the space, is near none.
    """

    async def later(self, ids: Iterable[int], skip: Collection[int]) -> dict[int, int]:
        """The images that are near one of `ids` and come after it, but for those of `skip`; with it the first one."""

    async def earlier(self, ids: Iterable[int], up_to: int) -> dict[int, int]:
        """For each of `ids` the first image that is near it and comes before it, if there is one up to `up_to`."""
