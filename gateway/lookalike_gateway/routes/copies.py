"""Tell whether a picture that comes with the request is a copy of one of a project's photos."""

import hashlib
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from lookalike_gateway import openapi
from lookalike_gateway.auth import Permission
from lookalike_gateway.models.search import CopyResult, Result, Timing
from lookalike_gateway.parameters import GIVEN_ONCE, CopySearch, Project
from lookalike_gateway.state import GatewayState

router = APIRouter(dependencies=[Depends(Permission("Search")), GIVEN_ONCE], responses=openapi.COMMON)


@router.post(
    "/v1/projects/{project}/copies",
    operation_id="findCopies",
    summary="Find out whether a picture is a copy",
    description="The picture is the body, or the file of a form: it is compared with the nearest photos."
    " For many pictures, send several requests at once.",
    responses=openapi.refusals(404, 408, 409, 413, 415, 422),
    openapi_extra=openapi.PHOTO_NEEDED,
)
async def find_copies(
    project: Project, query: Annotated[CopySearch, Query()], request: Request, state: GatewayState
) -> CopyResult:
    """Search with the picture in the body, and return what it is a copy of."""
    async with state.uploads.photo(request) as data:
        started = time.perf_counter()
        embedding = await state.client.embed(data, fingerprint=True, views=query.thorough)
        seconds = time.perf_counter() - started
        sha256 = hashlib.sha256(data).hexdigest()
    found = await state.client.search(
        project,
        embedding=embedding,
        sha256=sha256,
        limit=query.candidates,
        verify=query.candidates,
        thorough=query.thorough,
        filter=query.filter(),
    )
    results = [Result.model_validate(hit, context=state.thumbnails.url(project)) for hit in found.hits]
    for rank, result in enumerate(results, start=1):
        result.rank = rank
    return CopyResult(
        copies=[result for result, hit in zip(results, found.hits, strict=True) if hit.is_copy],
        candidates=len(results),
        unverified=sum(not hit.is_compared for hit in found.hits),
        timing=Timing(embed_ms=seconds * 1000, search_ms=found.search_seconds * 1000),
    )
