"""Record which hits of searches were right, and measure searches by it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime

from lookalike._operations import encode, feedback
from lookalike.client.base import BaseClient
from lookalike.records import Embedding, Feedback, HitVerdict, SearchQuality


class FeedbackMethods(BaseClient):
    """These are the methods of `Client` that record, show and delete feedback on searches."""

    async def record_feedback(
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
        return await feedback.record(self._call(), project, search_id, verdicts, sha256, uri, embedding)

    async def list_feedback(self, project: str) -> AsyncGenerator[Feedback, None]:
        """Yield a project's feedback, search by search, in the order in which they first got any.

        Searches that get their first meanwhile come later; none comes twice. Raises NotFoundError.
        """
        async with aclosing(feedback.list_all(self._call(), project)) as records:
            async for record in records:
                yield record

    async def delete_feedback(
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
        ids = encode.as_sequence(search_ids)
        return await feedback.delete(self._call(), project, ids, before)

    async def search_quality(self, project: str, *, days: int = 7) -> SearchQuality:
        """Return how good the searches of the last 1 to 365 days were, the present one (in UTC) included.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: days is out of range.
        """
        return await feedback.quality(self._call(), project, days)
