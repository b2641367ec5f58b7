"""Search by a photo that comes with the request, by an image of the project, or by words."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request

from lookalike import records
from lookalike.client import Client
from lookalike_gateway import openapi, page_token
from lookalike_gateway.auth import Permission
from lookalike_gateway.models.search import Result, SearchResult, Timing
from lookalike_gateway.page_token import Page
from lookalike_gateway.parameters import GIVEN_ONCE, MAX_HITS, ImageSearch, Project, Search
from lookalike_gateway.problems import invalid
from lookalike_gateway.state import GatewayState, State
from lookalike_gateway.upload import has_body

router = APIRouter(dependencies=[Depends(Permission("Search")), GIVEN_ONCE], responses=openapi.COMMON)

_PATH: Final = "/v1/projects/{project}/image-search"


@router.post(
    _PATH,
    operation_id="searchByPhoto",
    summary="Search with a photo",
    description="The photo is the body, or the file of a form. With `page_token` it is needed only if the page is to be"
    " verified: a token holds the photo's vector, and not its fingerprint.",
    responses=openapi.refusals(404, 408, 409, 413, 415, 422),
    openapi_extra=openapi.PHOTO,
)
async def by_photo(
    project: Project, query: Annotated[Search, Query()], request: Request, state: GatewayState
) -> SearchResult:
    """Search with the photo in the body, or go on with a search."""
    if query.thorough and (query.page_token or not query.verify):
        raise invalid("thorough", "needs verify and a photo, as views are cut from it", query.thorough)
    if query.thorough and query.offset:
        raise invalid("offset", "must be 0 with thorough, as there is one page", query.offset)
    page = _continued(query) if query.page_token else Page({}, query.offset)
    if query.page_token and not (query.verify and has_body(request)):
        return await _answer(state, project, query, page)
    async with state.uploads.photo(request) as data:
        sha256 = hashlib.sha256(data).hexdigest()
        if query.page_token and ("embedding" not in page.query or page.query.get("sha256") != sha256):
            raise invalid("page_token", "must be of a search with the photo that is the body", query.page_token)
        started = time.perf_counter()
        sent = await state.client.embed(data, fingerprint=query.verify > 0, views=query.thorough)
        seconds = time.perf_counter() - started
    embedding = replace(page.query.get("embedding", sent), fingerprint=sent.fingerprint)  # the first page's vector
    page = replace(page, query={"embedding": embedding, "sha256": sha256})
    return await _answer(state, project, query, page, seconds)


@router.get(
    _PATH,
    operation_id="searchByImage",
    summary="More like an image of the project, or what words say",
    description="Exactly one of `sha256`, `uri`, `text` and `page_token` says which. An image itself comes first.",
    responses=openapi.refusals(404, 409),
)
async def by_image(project: Project, query: Annotated[ImageSearch, Query()], state: GatewayState) -> SearchResult:
    """Search with an image of the project, more like this, or with words."""
    named = query.model_dump(include={"sha256", "uri", "text", "page_token"}, exclude_defaults=True)
    if len(named) != 1:
        raise invalid("sha256", "exactly one of sha256, uri, text and page_token is required", sorted(named))
    if query.thorough:
        raise invalid("thorough", "needs verify and a photo, as views are cut from it", query.thorough)
    if query.text is not None:
        started = time.perf_counter()
        embedding = await state.client.embed_text(query.text)
        seconds = time.perf_counter() - started
        return await _answer(state, project, query, Page({"embedding": embedding}, query.offset), seconds)
    page = _continued(query) if query.page_token else Page(named, query.offset)
    return await _answer(state, project, query, page)


def _continued(query: Search) -> Page:
    if query.offset:
        raise invalid("offset", "must be left out with a page_token", query.offset)
    return page_token.decode(query.page_token)


async def _answer(
    state: State, project_name: str, query: Search, page: Page, embed_seconds: float = 0.0
) -> SearchResult:
    """Return the page."""
    response, hits = await _searched(state.client, project_name, query, page)
    context = state.thumbnails.url(project_name)
    results = [Result.model_validate(hit, context=context) for hit in hits]
    for rank, result in enumerate(results, start=page.offset + 1):
        result.rank = rank
    return SearchResult(
        count=len(results),
        offset=page.offset,
        total=response.images_ranked,
        results=results,
        next_page_token=page_token.encode(Page(page.query, page.offset + len(results), response.next_page_token))
        if response.next_page_token
        else "",
        mode=response.mode,
        reason=response.reason,
        query_featureless=response.query_featureless,
        images_ranked=response.images_ranked,
        space=response.space,
        search_id=response.search_id,
        timing=Timing(embed_ms=embed_seconds * 1000, search_ms=response.search_seconds * 1000),
    )


async def _searched(
    client: Client, project_name: str, query: Search, page: Page
) -> tuple[records.SearchResult, Sequence[records.Hit]]:
    """Return the searcher's answer, and the page's hits.

    An offset without a token means that the hits before it are searched for too, and left out. Where hits are to be
    verified, these are a page of their own, as the searcher verifies the first hits of a page.
    """
    skipped = 0 if page.page_token else page.offset
    if skipped + query.limit > MAX_HITS:
        rule = f"with limit must be at most {MAX_HITS}; beyond, go on with nextPageToken"
        raise invalid("offset", rule, skipped)
    ask = partial(
        client.search,
        project_name,
        **page.query,
        filter=query.filter(),
        min_similarity=query.min_similarity,
        group_by_product=query.group_by == "product",
        exact=query.exact,
        rerank=query.rerank,
    )
    if skipped and query.verify:
        before = await ask(limit=skipped)
        if not before.next_page_token:
            return before, ()
        response = await ask(limit=query.limit, page_token=before.next_page_token, verify=query.verify)
        return replace(response, search_seconds=before.search_seconds + response.search_seconds), response.hits
    response = await ask(
        limit=skipped + query.limit, page_token=page.page_token, verify=query.verify, thorough=query.thorough
    )
    return response, response.hits[skipped:]
