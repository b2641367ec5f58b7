"""Say whether the gateway lives, and whether the servers behind it serve."""

from typing import Any, Final

from fastapi import APIRouter, Response

from lookalike_gateway import openapi
from lookalike_gateway.models.health import Health, Readiness
from lookalike_gateway.parameters import NOTHING
from lookalike_gateway.routes.caching import NO_STORE
from lookalike_gateway.state import GatewayState

_UNREADY: Final[dict[str, Any]] = {"description": "The searcher does not serve.", "model": Readiness}

router = APIRouter(dependencies=[NOTHING, NO_STORE], responses=openapi.PROBE)


@router.get("/healthz", operation_id="live", summary="Whether the process answers")
async def live() -> Health:
    """Say that the gateway answers."""
    return Health(status="ok")


@router.get(
    "/readyz",
    operation_id="ready",
    summary="Whether requests can be answered",
    description="503 if the searcher does not serve. Without an embedder, searches by photo fail and others do not.",
    responses={503: _UNREADY},
)
async def ready(response: Response, state: GatewayState) -> Readiness:
    """Say which servers answer in time that they serve. We are ready if the searcher is: much needs no embedder."""
    embedder, searcher = await state.client.health()
    if searcher:
        return Readiness(status="ok" if embedder else "degraded", embedder=embedder, searcher=True)
    response.status_code = 503
    return Readiness(status="unavailable", embedder=embedder, searcher=False)
