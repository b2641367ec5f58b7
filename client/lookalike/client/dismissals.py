"""Say which images of a project are no duplicates of one another."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from lookalike._operations import dismissals
from lookalike.client.base import BaseClient
from lookalike.records import Dismissal, DismissalPage


class DismissalMethods(BaseClient):
    """These are the methods of `Client` that say what are no duplicates, and take it back."""

    async def dismiss_duplicates(self, project: str, sha256s: Sequence[str]) -> int:
        """Say that images are no duplicates of one another; of how many pairs that is new.

        `find_duplicates` never puts the two of a pair in one cluster again.

        Args:
            project: the project's name.
            sha256s: their hashes, in hexadecimal: 2 to 100, all different.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: a hash is none, or there are too few or too many.
        """
        return await dismissals.dismiss(self._call(), project, sha256s)

    async def list_dismissals(self, project: str) -> AsyncGenerator[Dismissal, None]:
        """Yield the pairs that were said to be no duplicates, oldest first. Raises NotFoundError."""
        async with aclosing(dismissals.list_all(self._call(), project)) as records:
            async for record in records:
                yield record

    async def dismissal_page(self, project: str, *, size: int = 100, page_token: str = "") -> DismissalPage:
        """Return one page of the pairs that were said to be no duplicates; see `list_dismissals`.

        Args:
            project: the project's name.
            size: the most dismissals, 1 to 1,000.
            page_token: `next_page_token` of the page before.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: size is out of range, or page_token is of another list.
        """
        return await dismissals.page(self._call(), project, size, page_token)

    async def delete_dismissals(self, project: str, sha256s: Sequence[str]) -> int:
        """Take back that images are no duplicates; of how many pairs.

        Args:
            project: the project's name.
            sha256s: the hashes of the images whose pairs are meant, or of one image, for all its pairs.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: a hash is none, or there are too many.
        """
        return await dismissals.delete(self._call(), project, sha256s)
