"""Create, show, change and delete projects.

`tools/sync_client.py` writes this from `client/projects.py`.
"""

from collections.abc import Generator

from lookalike.records import Limits, Project, ProjectPage, TuningPolicy
from lookalike.sync_client.base import BaseClient


class ProjectMethods(BaseClient):
    """These are the methods of `SyncClient` that manage projects."""

    def create_project(
        self,
        name: str,
        *,
        space: str | None = None,
        dimensions: int | None = None,
        limits: Limits | None = None,
        tuning_policy: TuningPolicy | None = None,
    ) -> Project:
        """Create a project, empty at first.

        Args:
            name: 1 to 63 lower-case letters, digits, `-` or `_`, beginning with a letter or digit.
            space: the embedding space of its vectors; the embedder's own if it is left out.
            dimensions: how many numbers each vector of the space has, 1 to 4,000; if it is left out, as many as the
                embedder's, or 512 if a space is given.
            limits: what it may hold and ask for; the server's own limits if it is left out.
            tuning_policy: how far the searcher may tune it by itself; the searcher's own if it is left out.

        Raises:
            AlreadyExistsError: there is one of that name.
            InvalidRequestError: the name, the space, its dimensions or a limit breaks a rule.
        """
        loop, client = self._client()
        return loop.call(
            client.create_project(name, space=space, dimensions=dimensions, limits=limits, tuning_policy=tuning_policy)
        )

    def get_project(self, name: str) -> Project:
        """Return the project of that name, with the state of its spaces. Raises NotFoundError."""
        loop, client = self._client()
        return loop.call(client.get_project(name))

    def list_projects(self) -> Generator[Project, None, None]:
        """Yield all projects by name, without their spaces, fetching page after page."""
        loop, client = self._client()
        return loop.iterate(lambda: client.list_projects())

    def project_page(self, *, page_size: int = 100, page_token: str = "") -> ProjectPage:
        """One page of the projects by name, without their spaces, for whoever shows them page by page.

        Args:
            page_size: the most projects; more than 1,000 means 1,000.
            page_token: where to go on: the `next_page_token` of the page before; empty for the first one.

        Raises:
            InvalidRequestError: page_size is negative, or page_token is none of ours.
        """
        loop, client = self._client()
        return loop.call(client.project_page(page_size=page_size, page_token=page_token))

    def update_project(
        self,
        name: str,
        *,
        limits: Limits | None = None,
        search_enabled: bool | None = None,
        fingerprints_enabled: bool | None = None,
        tuning_policy: TuningPolicy | None = None,
        accept_space: str = "",
    ) -> Project:
        """Change a project: what is left out stays.

        Args:
            name: the project's name.
            limits: its new limits, all of them.
            search_enabled: whether it can be searched; if not, searches raise PreconditionError, SEARCH_DISABLED.
            fingerprints_enabled: whether fingerprints of its images are made and stored; those of before stay.
            tuning_policy: how far the searcher may tune it by itself.
            accept_space: the space that the searcher proposes, see `Tuning.space`: it is built, and serves then.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: a limit is out of range, or nothing is to be changed.
            PreconditionError: the space is not proposed.
        """
        loop, client = self._client()
        return loop.call(
            client.update_project(
                name,
                limits=limits,
                search_enabled=search_enabled,
                fingerprints_enabled=fingerprints_enabled,
                tuning_policy=tuning_policy,
                accept_space=accept_space,
            )
        )

    def delete_project(self, name: str) -> None:
        """Delete a project with all its images. It cannot be undone. Raises NotFoundError."""
        loop, client = self._client()
        return loop.call(client.delete_project(name))
