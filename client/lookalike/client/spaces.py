"""Give a project another embedding space, and let it serve."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from lookalike._operations import projects
from lookalike.client.base import BaseClient
from lookalike.records import Filling, Project, Projection, SpaceComparison
from lookalike.records.search import DEFAULT_LIMIT


class SpaceMethods(BaseClient):
    """These are the methods of `Client` that manage the embedding spaces of a project."""

    async def create_space(
        self,
        project: str,
        space: str | None = None,
        *,
        dimensions: int | None = None,
        projection: Projection | None = None,
    ) -> Project:
        """Add a second space to a project, for a new model, to be filled by `index` while the first one serves.

        Args:
            project: the project's name.
            space: the embedding space; the embedder's own if it is left out.
            dimensions: how many numbers each of its vectors has; see `create_project`. A derived space has as many as
                the projection's matrix has rows.
            projection: derives the space from another one of the project, by which the searcher fills it.

        Raises:
            NotFoundError: there is no such project, or it has no such source.
            AlreadyExistsError: it has such a space.
            InvalidRequestError: the space, its dimensions or the projection breaks a rule.
            PreconditionError: the projection's source is derived itself.
        """
        return await projects.create_space(self._call(), project, space, dimensions, projection)

    async def watch_space(self, project: str, space: str) -> AsyncGenerator[Filling, None]:
        """Yield how far a derived space is, until it is filled, and its index, where one is due, is ready.

        Raises:
            NotFoundError: there is no such project, or it has no such derived space.
        """
        async with aclosing(projects.filling(self._call(), project, space)) as states:
            async for state in states:
                yield state

    async def compare_spaces(
        self, project: str, space: str, *, sample_size: int = 100, limit: int = DEFAULT_LIMIT
    ) -> SpaceComparison:
        """Search for sampled images of the project in a space and in the one that serves, and compare the answers.

        Args:
            project: the project's name.
            space: the other space.
            sample_size: how many images to search for, 1 to 1,000, of those that have a vector in both.
            limit: how many hits of each search to compare, 1 to 100.

        Raises:
            NotFoundError: there is no such project or space.
            InvalidRequestError: a number is out of range.
        """
        return await projects.compare_spaces(self._call(), project, space, sample_size, limit)

    async def cut_over_space(self, project: str, space: str, *, allow_incomplete: bool = False) -> Project:
        """Make another space the one that serves, atomically. The old one is kept: cutting over to it is the way back.

        Args:
            project: the project's name.
            space: the space that is to serve.
            allow_incomplete: cut over although images have no vector in it, and so are not found, or its index is not
                ready.

        Raises:
            NotFoundError: there is no such project or space.
            PreconditionError: the space is incomplete.
        """
        return await projects.cut_over_space(self._call(), project, space, allow_incomplete=allow_incomplete)

    async def delete_space(self, project: str, space: str) -> Project:
        """Delete a space that does not serve, with its vectors. It cannot be undone.

        Raises:
            NotFoundError: there is no such project or space.
            PreconditionError: it serves.
        """
        return await projects.delete_space(self._call(), project, space)
