"""Keep what the handlers work with: the client, and what bounds them."""

from dataclasses import dataclass

from starlette.requests import Request

from lookalike.client import Client
from lookalike_gateway.config import Config
from lookalike_gateway.thumbnail import Thumbnails
from lookalike_gateway.upload import Uploads


@dataclass(frozen=True)
class Face:
    """The state belongs to one application."""

    client: Client
    config: Config
    uploads: Uploads
    thumbnails: Thumbnails


def face_of(request: Request) -> Face:
    """Return the state of the application that got the request."""
    face: Face = request.app.state.face
    return face
