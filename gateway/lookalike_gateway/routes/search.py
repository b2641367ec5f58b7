"""Search by a photo that comes with the request, by an image of the project, or by words."""

import hashlib
import time
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request

from lookalike_gateway import openapi, page_token
from lookalike_gateway.auth import Permission
from lookalike_gateway.models.search import Result, SearchResult, Timing
from lookalike_gateway.page_token import Page
from lookalike_gateway.parameters import GIVEN_ONCE, MAX_HITS, ImageSearch, Project, Search
from lookalike_gateway.problems import invalid
from lookalike_gateway.state import GatewayState, State

router = APIRouter(dependencies=[Depends(Permission("Search")), GIVEN_ONCE], responses=openapi.COMMON)

_PATH: Final = "/v1/projects/{project}/image-search"


@router.post(
    _PATH,
    operation_id="searchByPhoto",
    summary="Search with a photo",
    description="The photo is the body, or the file of a form. With `page_token` no body is needed.",
    responses=openapi.refusals(404, 408, 409, 413, 415, 422),
    openapi_extra=openapi.PHOTO,
)
async def by_photo(
    project: Project, query: Annotated[Search, Query()], request: Request, state: GatewayState
) -> SearchResult:
    """Search with the photo in the body, or go on with a search."""
    if query.thorough and (query.page_token or not query.verify):
        raise invalid("thorough", "needs verify and a photo, as views are cut from it", query.thorough)
    if query.page_token:
        return await _answer(state, project, query, _continued(query))
    async with state.uploads.photo(request) as data:
        started = time.perf_counter()
        embedding = await state.client.embed(data, fingerprint=query.verify > 0, views=query.thorough)
        seconds = time.perf_counter() - started
        sha256 = hashlib.sha256(data).hexdigest()
    page = Page({"embedding": embedding, "sha256": sha256}, query.offset)
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
    """Return the page. An offset without a token means that the hits before it are searched for too, and left out."""
    skipped = 0 if page.page_token else page.offset
    if skipped + query.limit > MAX_HITS:
        rule = f"with limit must be at most {MAX_HITS}; beyond, go on with nextPageToken"
        raise invalid("offset", rule, skipped)
    response = await state.client.search(
        project_name,
        **page.query,
        limit=skipped + query.limit,
        page_token=page.page_token,
        filter=query.filter(),
        min_similarity=query.min_similarity,
        group_by_product=query.group_by == "product",
        exact=query.exact,
        rerank=query.rerank,
        verify=query.verify,
        thorough=query.thorough,
    )
    last = page.offset - skipped + len(response.hits)
    context = state.thumbnails.url(project_name)
    results = [Result.model_validate(hit, context=context) for hit in response.hits[skipped:]]
    for rank, result in enumerate(results, start=page.offset + 1):
        result.rank = rank
    return SearchResult(
        count=len(results),
        offset=page.offset,
        total=response.images_ranked,
        results=results,
        next_page_token=page_token.encode(Page(page.query, last, response.next_page_token))
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
