"""Search a project by images, texts, vectors or examples.

`tools/sync_client.py` writes this from `client/search.py`.
"""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Literal

from lookalike.errors import LookalikeError
from lookalike.records import Embedding, Example, Filter, Query, SearchResult
from lookalike.records.search import DEFAULT_LIMIT
from lookalike.sync_client.base import BaseClient


class SearchMethods(BaseClient):
    """These are the methods of `SyncClient` that search a project for what is similar."""

    def search(
        self,
        project: str,
        *,
        image: bytes | Path | None = None,
        text: str | None = None,
        sha256: str | None = None,
        uri: str | None = None,
        embedding: Embedding | None = None,
        positives: Sequence[Example] = (),
        negatives: Sequence[Example] = (),
        limit: int = DEFAULT_LIMIT,
        filter: Filter | None = None,
        min_similarity: float | None = None,
        page_token: str = "",
        group_by_product: bool = False,
        exact: bool = False,
        space: str | None = None,
        rerank: int | Literal["auto"] = 0,
        verify: int = 0,
        thorough: bool = False,
    ) -> SearchResult:
        """Find the project's images most similar to an image, a text, an image of the project, a vector, or examples.

        The arguments are those of `Query`, which has their ranges.

        Raises:
            NotFoundError: there is no such project or space, or an image that the query names is not in it.
            InvalidRequestError: an image is not accepted, or a field breaks a rule.
            PreconditionError: the vector is of another space than the searched one, or the model has no text encoder.
            QuotaExceededError: the project's searches come too fast, or ask for too many hits.
            ValueError: not exactly one query was given, or negatives without positives.
        """
        loop, client = self._client()
        return loop.call(
            client.search(
                project,
                image=image,
                text=text,
                sha256=sha256,
                uri=uri,
                embedding=embedding,
                positives=positives,
                negatives=negatives,
                limit=limit,
                filter=filter,
                min_similarity=min_similarity,
                page_token=page_token,
                group_by_product=group_by_product,
                exact=exact,
                space=space,
                rerank=rerank,
                verify=verify,
                thorough=thorough,
            )
        )

    def search_pages(self, project: str, query: Query) -> Generator[SearchResult, None, None]:
        """Yield the answer to a search page after page, of `query.limit` hits each. Raises as `search`.

        What has to be embedded is embedded once. A page begins after the last hit of the one before, in the order of
        similarity, whatever changed meanwhile; pages that are re-ranked are ranked anew, see `Query.rerank`.
        """
        loop, client = self._client()
        return loop.iterate(lambda: client.search_pages(project, query))

    def search_batch(self, project: str, queries: Sequence[Query]) -> list[SearchResult | LookalikeError]:
        """The answers to 1 to 100 searches in their order; in the place of one that failed, its error.

        Raises:
            InvalidRequestError: there are no queries, or too many.
            LookalikeError: the searcher cannot be reached, or failed.
        """
        loop, client = self._client()
        return loop.call(client.search_batch(project, queries))
