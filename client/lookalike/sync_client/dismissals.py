"""Say which images of a project are no duplicates of one another.

`tools/sync_client.py` writes this from `client/dismissals.py`.
"""

from collections.abc import Generator, Sequence

from lookalike.records import Dismissal, DismissalPage
from lookalike.sync_client.base import BaseClient


class DismissalMethods(BaseClient):
    """These are the methods of `SyncClient` that say what are no duplicates, and take it back."""

    def dismiss_duplicates(self, project: str, sha256s: Sequence[str]) -> int:
        """Say that images are no duplicates of one another; of how many pairs that is new.

        `find_duplicates` never puts the two of a pair in one cluster again.

        Args:
            project: the project's name.
            sha256s: their hashes, in hexadecimal: 2 to 100, all different.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: a hash is none, or there are too few or too many.
        """
        loop, client = self._client()
        return loop.call(client.dismiss_duplicates(project, sha256s))

    def list_dismissals(self, project: str) -> Generator[Dismissal, None, None]:
        """Yield the pairs that were said to be no duplicates, oldest first. Raises NotFoundError."""
        loop, client = self._client()
        return loop.iterate(lambda: client.list_dismissals(project))

    def dismissal_page(self, project: str, *, size: int = 100, page_token: str = "") -> DismissalPage:
        """Return one page of the pairs that were said to be no duplicates; see `list_dismissals`.

        Args:
            project: the project's name.
            size: the most dismissals, 1 to 1,000.
            page_token: `next_page_token` of the page before.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: size is out of range, or page_token is of another list.
        """
        loop, client = self._client()
        return loop.call(client.dismissal_page(project, size=size, page_token=page_token))

    def delete_dismissals(self, project: str, sha256s: Sequence[str]) -> int:
        """Take back that images are no duplicates; of how many pairs.

        Args:
            project: the project's name.
            sha256s: the hashes of the images whose pairs are meant, or of one image, for all its pairs.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: a hash is none, or there are too many.
        """
        loop, client = self._client()
        return loop.call(client.delete_dismissals(project, sha256s))
