"""Decide about duplicates: merge them, or say that they are none."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request

from lookalike_gateway import openapi
from lookalike_gateway.auth import Permission
from lookalike_gateway.models.curation import Dismiss, DismissalPage, DismissalsDeleted, Dismissed, Merge, Merged
from lookalike_gateway.parameters import GIVEN_ONCE, NOTHING, DismissalList, DismissedImages, Project
from lookalike_gateway.routes.caching import NO_STORE
from lookalike_gateway.state import GatewayState

_MAX_JSON: Final = 128 * 1024
"""A thousand hashes of 64 digits, with what JSON has around them."""

router = APIRouter(prefix="/v1/projects/{project}/duplicates", responses=openapi.COMMON | openapi.refusals(404))


@router.post(
    "/merge",
    operation_id="mergeDuplicates",
    summary="Merge duplicates into one image",
    description="Their references move to the image that is kept, and they are deleted, all or nothing."
    " The same again changes nothing more.",
    dependencies=[Depends(Permission("MergeDuplicates")), NOTHING, NO_STORE],
    responses=openapi.refusals(408, 413, 415),
    openapi_extra=openapi.takes(Merge),
)
async def merge(project: Project, request: Request, state: GatewayState) -> Merged:
    """Move the references of duplicates to the kept image, and delete them."""
    body = await state.uploads.json(request, Merge, _MAX_JSON)
    merged = await state.client.merge_duplicates(project, body.keep, body.duplicates, dry_run=body.dry_run)
    return Merged.model_validate(merged)


@router.post(
    "/dismissals",
    operation_id="dismissDuplicates",
    summary="Say that images are no duplicates of one another",
    description="Every pair of them: they are never in one cluster again. The same again changes nothing.",
    dependencies=[Depends(Permission("DismissDuplicates")), NOTHING, NO_STORE],
    responses=openapi.refusals(408, 413, 415),
    openapi_extra=openapi.takes(Dismiss),
)
async def dismiss(project: Project, request: Request, state: GatewayState) -> Dismissed:
    """Remember that images are no duplicates."""
    body = await state.uploads.json(request, Dismiss, _MAX_JSON)
    return Dismissed(dismissed=await state.client.dismiss_duplicates(project, body.images))


@router.get(
    "/dismissals",
    operation_id="listDismissals",
    summary="List what was said to be no duplicates",
    description="Pairs, in the order in which that was said.",
    dependencies=[Depends(Permission("ListDismissals")), GIVEN_ONCE, NO_STORE],
)
async def list_dismissals(
    project: Project, query: Annotated[DismissalList, Query()], state: GatewayState
) -> DismissalPage:
    """Return a page of dismissals."""
    page = await state.client.dismissal_page(project, size=query.limit, page_token=query.page_token)
    return DismissalPage.model_validate(page)


@router.delete(
    "/dismissals",
    operation_id="deleteDismissals",
    summary="Take back that images are no duplicates",
    description="What is not there is no error.",
    dependencies=[Depends(Permission("DeleteDismissals")), GIVEN_ONCE, NO_STORE],
)
async def delete_dismissals(
    project: Project, query: Annotated[DismissedImages, Query()], state: GatewayState
) -> DismissalsDeleted:
    """Delete dismissals: what they name may be duplicates again."""
    return DismissalsDeleted(deleted=await state.client.delete_dismissals(project, query.image))
