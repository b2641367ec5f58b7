"""Say whether the gateway lives, and whether the servers behind it serve."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Response

from lookalike_gateway import openapi
from lookalike_gateway.models.health import Health, Readiness
from lookalike_gateway.parameters import NOTHING
from lookalike_gateway.routes.caching import NO_STORE
from lookalike_gateway.state import GatewayState

_SECONDS: Final = 3.0
_UNREADY: Final[dict[str, Any]] = {"description": "One does not answer.", "model": Readiness}

router = APIRouter(dependencies=[NOTHING, NO_STORE], responses=openapi.PROBE)


@router.get("/healthz", operation_id="live", summary="Whether the process answers")
async def live() -> Health:
    """Say that the gateway answers."""
    return Health(status="ok")


@router.get(
    "/readyz",
    operation_id="ready",
    summary="Whether both servers answer",
    description="503 if one does not.",
    responses={503: _UNREADY},
)
async def ready(response: Response, state: GatewayState) -> Readiness:
    """Say whether both servers answer in time that they serve."""
    try:
        async with asyncio.timeout(_SECONDS):
            embedder, searcher = await state.client.health()
    except TimeoutError:
        embedder = searcher = False
    if embedder and searcher:
        return Readiness(status="ok", embedder=True, searcher=True)
    response.status_code = 503
    return Readiness(status="unavailable", embedder=embedder, searcher=searcher)
