"""Search a project by images, texts, vectors or examples."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Literal

from lookalike._operations import search
from lookalike.client.base import BaseClient
from lookalike.errors import LookalikeError
from lookalike.records import Embedding, Example, Filter, Query, SearchResult
from lookalike.records.search import DEFAULT_LIMIT


class SearchMethods(BaseClient):
    """These are the methods of `Client` that search a project for what is similar."""

    async def search(
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
        filter: Filter | None = None,  # noqa: A002 - what else
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
        query = Query(
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
        async with aclosing(search.pages(self._call(), project, query)) as pages:
            return await anext(pages)

    async def search_pages(self, project: str, query: Query) -> AsyncGenerator[SearchResult, None]:
        """Yield the answer to a search page after page, of `query.limit` hits each. Raises as `search`.

        What has to be embedded is embedded once. A page begins after the last hit of the one before, in the order of
        similarity, whatever changed meanwhile; pages that are re-ranked are ranked anew, see `Query.rerank`.
        """
        async with aclosing(search.pages(self._call(), project, query)) as pages:
            async for page in pages:
                yield page

    async def search_batch(self, project: str, queries: Sequence[Query]) -> list[SearchResult | LookalikeError]:
        """The answers to 1 to 100 searches in their order; in the place of one that failed, its error.

        Raises:
            InvalidRequestError: there are no queries, or too many.
            LookalikeError: the searcher cannot be reached, or failed.
        """
        return await search.batch(self._call(), project, queries)
