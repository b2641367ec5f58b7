"""Record which hits of searches were right, and measure searches by it.

`tools/sync_client.py` writes this from `client/feedback.py`.
"""

from collections.abc import Generator, Sequence
from datetime import datetime

from lookalike.records import Embedding, Feedback, HitVerdict, SearchQuality
from lookalike.sync_client.base import BaseClient


class FeedbackMethods(BaseClient):
    """These are the methods of `SyncClient` that record, show and delete feedback on searches."""

    def record_feedback(
        self,
        project: str,
        search_id: str,
        verdicts: Sequence[HitVerdict],
        *,
        sha256: str | None = None,
        uri: str | None = None,
        embedding: Embedding | None = None,
    ) -> int:
        """Say which hits of a search were right, wrong or clicked; how many of the verdicts were new.

        The same again changes nothing; a later RIGHT or WRONG on a hit replaces the earlier one; clicks stay.
        What was searched for is stored only if it is named here, which it must be to be learnt from.

        Args:
            project: the project's name.
            search_id: of the search's result.
            verdicts: 1 to 100.
            sha256: the hash, in hexadecimal, of the query's file.
            uri: instead of it, where the query, an image of the project, is used.
            embedding: the query's vector; not needed if the query is an image of the project.

        Raises:
            NotFoundError: there is no such project, or no image at the uri.
            InvalidRequestError: a field breaks a rule, or the search was another project's, or too long ago.
            PreconditionError: the vector is of no space of the project.
            QuotaExceededError: the project, or the search, has as much feedback as it may.
        """
        loop, client = self._client()
        return loop.call(
            client.record_feedback(project, search_id, verdicts, sha256=sha256, uri=uri, embedding=embedding)
        )

    def list_feedback(self, project: str) -> Generator[Feedback, None, None]:
        """Yield a project's feedback, search by search, in the order in which they first got any.

        Searches that get their first meanwhile come later; none comes twice. Raises NotFoundError.
        """
        loop, client = self._client()
        return loop.iterate(lambda: client.list_feedback(project))

    def delete_feedback(
        self, project: str, *, search_ids: str | Sequence[str] = (), before: datetime | None = None
    ) -> int:
        """Delete the feedback on searches, with their queries' vectors; on how many. It cannot be undone.

        Args:
            project: the project's name.
            search_ids: on these, at most 1,000; what is not there is no error.
            before: on all that were made before this time.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: nothing is named, or what is none of ours.
        """
        loop, client = self._client()
        return loop.call(client.delete_feedback(project, search_ids=search_ids, before=before))

    def search_quality(self, project: str, *, days: int = 7) -> SearchQuality:
        """Return how good the searches of the last 1 to 365 days were, the present one (in UTC) included.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: days is out of range.
        """
        loop, client = self._client()
        return loop.call(client.search_quality(project, days=days))
