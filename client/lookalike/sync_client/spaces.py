"""Give a project another embedding space, and let it serve.

`tools/sync_client.py` writes this from `client/spaces.py`.
"""

from collections.abc import Generator

from lookalike.records import Filling, Project, Projection, SpaceComparison
from lookalike.records.search import DEFAULT_LIMIT
from lookalike.sync_client.base import BaseClient


class SpaceMethods(BaseClient):
    """These are the methods of `SyncClient` that manage the embedding spaces of a project."""

    def create_space(
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
        loop, client = self._client()
        return loop.call(client.create_space(project, space, dimensions=dimensions, projection=projection))

    def watch_space(self, project: str, space: str) -> Generator[Filling, None, None]:
        """Yield how far a derived space is, until it is filled, and its index, where one is due, is ready.

        Raises:
            NotFoundError: there is no such project, or it has no such derived space.
        """
        loop, client = self._client()
        return loop.iterate(lambda: client.watch_space(project, space))

    def compare_spaces(
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
        loop, client = self._client()
        return loop.call(client.compare_spaces(project, space, sample_size=sample_size, limit=limit))

    def cut_over_space(self, project: str, space: str, *, allow_incomplete: bool = False) -> Project:
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
        loop, client = self._client()
        return loop.call(client.cut_over_space(project, space, allow_incomplete=allow_incomplete))

    def delete_space(self, project: str, space: str) -> Project:
        """Delete a space that does not serve, with its vectors. It cannot be undone.

        Raises:
            NotFoundError: there is no such project or space.
            PreconditionError: it serves.
        """
        loop, client = self._client()
        return loop.call(client.delete_space(project, space))
