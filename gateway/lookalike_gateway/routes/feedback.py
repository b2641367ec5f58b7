"""Record what users thought of a search's hits, and say how good searches are by that."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request

from lookalike.records import HitVerdict, Verdict
from lookalike_gateway import openapi
from lookalike_gateway.auth import Permission
from lookalike_gateway.models.feedback import Feedback, FeedbackRecorded, SearchQuality
from lookalike_gateway.parameters import GIVEN_ONCE, NOTHING, Days, Project
from lookalike_gateway.routes.caching import NO_STORE
from lookalike_gateway.state import GatewayState

_MAX_JSON: Final = 64 * 1024

router = APIRouter(prefix="/v1/projects/{project}", responses=openapi.COMMON | openapi.refusals(404))


@router.post(
    "/feedback",
    operation_id="recordFeedback",
    summary="Say which results were right, wrong or clicked",
    description="The same again changes nothing. Nothing of the photo that was searched with is stored.",
    dependencies=[Depends(Permission("RecordFeedback")), NOTHING, NO_STORE],
    responses=openapi.refusals(408, 413, 415),
    openapi_extra=openapi.takes(Feedback),
)
async def record_feedback(project: Project, request: Request, state: GatewayState) -> FeedbackRecorded:
    """Record verdicts on a search."""
    feedback = await state.uploads.json(request, Feedback, _MAX_JSON)
    verdicts = [HitVerdict(verdict.sha256, verdict.rank, Verdict(verdict.verdict)) for verdict in feedback.verdicts]
    changed = await state.client.record_feedback(project, feedback.search_id, verdicts, sha256=feedback.query_sha256)
    return FeedbackRecorded(changed=changed)


@router.get(
    "/quality",
    operation_id="getQuality",
    summary="How good a project's searches are",
    description="By what was said and clicked, over the last days.",
    dependencies=[Depends(Permission("GetSearchQuality")), GIVEN_ONCE, NO_STORE],
)
async def get_quality(project: Project, query: Annotated[Days, Query()], state: GatewayState) -> SearchQuality:
    """Return how good a project's searches were."""
    return SearchQuality.model_validate(await state.client.search_quality(project, days=query.days))
