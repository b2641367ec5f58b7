"""Keep what the handlers work with: the client, and what bounds them."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection

from lookalike.client import Client
from lookalike_gateway.thumbnail import Thumbnails
from lookalike_gateway.upload import Uploads
from lookalike_serving.security.authentication import Verifier


@dataclass(frozen=True)
class State:
    """The state belongs to one application."""

    client: Client
    uploads: Uploads
    thumbnails: Thumbnails
    verifier: Verifier | None


async def state_of(request: HTTPConnection) -> State:
    """Return the state of the application that got the request."""
    state: State = request.app.state.gateway
    return state


GatewayState = Annotated[State, Depends(state_of)]
