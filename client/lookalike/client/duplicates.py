"""Find duplicates inside a project, and merge them."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime

from lookalike._operations import decode_duplicates, duplicates
from lookalike.client.base import BaseClient
from lookalike.records import DuplicateCluster, DuplicateProgress, Filter, KeepRule, MergeResult


class DuplicateMethods(BaseClient):
    """These are the methods of `Client` that find and merge duplicates inside a project."""

    async def find_duplicates(
        self,
        project: str,
        *,
        min_similarity: float | None = None,
        same_file_only: bool = False,
        verify: bool = True,
        filter: Filter | None = None,  # noqa: A002 - what else
        other: Filter | None = None,
        rest: bool = False,
        across_products: bool = False,
        newer_than: datetime | None = None,
        keep: KeepRule = KeepRule.LARGEST,
        recoloured: bool = False,
        resume_token: str = "",
        on_progress: Callable[[DuplicateProgress], object] | None = None,
    ) -> AsyncGenerator[DuplicateCluster, None]:
        """Yield clusters of the project's images that are duplicates of one another, by their earliest image.

        A cluster is what near pairs connect: those whose fingerprints prove it, or, where there are none, whose cosine
        tells. Clusters come once all pairs are known. The searcher may be away for a minute: the search goes on where
        it was. To go on in another process, keep the last cluster's `progress.resume_token`. One who stops early closes
        the generator (`contextlib.aclosing`).

        Args:
            project: the project's name.
            min_similarity: of near duplicates, 0.5 to 1; None: the threshold of `Match.NEAR_DUPLICATE` where the cosine
                alone tells, and 0.9 for pairs that are verified.
            same_file_only: only files that are used in several places: no vectors are compared.
            verify: whether fingerprints are compared, so that only proven copies are duplicates.
            filter: only images that pass.
            other: only pairs of an image that passes `filter` with one that passes this.
            rest: only pairs of an image that passes `filter`, which is required then, with one that does not.
            across_products: only pairs of images that show different products.
            newer_than: only pairs of which at least one was first indexed at this time or later. A time without a zone
                is in UTC.
            keep: by which rule each cluster's first image is suggested to be kept.
            recoloured: whether the same photo in other colours is a duplicate, too, where pairs are verified.
            resume_token: where to go on; all else stays the same. Empty: at the beginning.
            on_progress: is told how far it has come, also while nothing is found.

        Raises:
            NotFoundError: there is no such project.
            InvalidRequestError: min_similarity is out of range, or resume_token is of another search.
            LookalikeError: the searcher stayed away, or failed.
        """
        request = duplicates.request(
            project,
            min_similarity=min_similarity,
            same_file_only=same_file_only,
            verify=verify,
            chosen=filter,
            other=other,
            rest=rest,
            across_products=across_products,
            newer_than=newer_than,
            keep=keep,
            recoloured=recoloured,
            resume_token=resume_token,
        )
        async with aclosing(duplicates.answers(self._call(), request)) as answers:
            async for answer in answers:
                if on_progress:
                    on_progress(decode_duplicates.progress(answer))
                if answer.HasField("cluster"):
                    yield decode_duplicates.cluster(answer)

    async def merge_duplicates(
        self, project: str, keep: str, sha256s: Sequence[str], *, dry_run: bool = False
    ) -> MergeResult:
        """Move the references of duplicates to the image that is kept, and delete the duplicates, in one transaction.

        Sent again, it changes nothing more.

        Args:
            project: the project's name.
            keep: the hash of the image that is kept, in hexadecimal.
            sha256s: the hashes of its duplicates: 1 to 1,000.
            dry_run: only say what would be done.

        Raises:
            NotFoundError: there is no such project, or the image that is to be kept is not in it.
            InvalidRequestError: a hash is none, or the kept image is among the duplicates.
        """
        return await duplicates.merge(self._call(), project, keep, sha256s, dry_run=dry_run)
