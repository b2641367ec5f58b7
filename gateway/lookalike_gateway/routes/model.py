"""Say which model makes the vectors, and whether it takes words."""

from fastapi import APIRouter, Depends

from lookalike._transport.channel import EMBEDDER
from lookalike_gateway import openapi
from lookalike_gateway.auth import Permission
from lookalike_gateway.models.model import Model
from lookalike_gateway.parameters import NOTHING
from lookalike_gateway.routes.caching import NO_STORE
from lookalike_gateway.state import GatewayState

router = APIRouter(responses=openapi.COMMON)


@router.get(
    "/v1/model",
    operation_id="getModel",
    summary="The embedder's model",
    description="Its space, and whether searches take words.",
    dependencies=[Depends(Permission("GetModel", EMBEDDER)), NOTHING, NO_STORE],
)
async def get_model(state: GatewayState) -> Model:
    """Return the model that photos and words are sent to."""
    return Model.model_validate(await state.client.model())
