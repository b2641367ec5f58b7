"""Say whether the gateway lives, and whether the servers behind it serve."""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookalike_gateway.parameter import Given
from lookalike_gateway.state import face_of

_SECONDS: Final = 3.0
_FRESH: Final = {"Cache-Control": "no-store"}


async def live(_request: Request, _given: Given) -> Response:
    """Say that the gateway answers."""
    return JSONResponse({"status": "ok"}, headers=_FRESH)


async def ready(request: Request, _given: Given) -> Response:
    """Both servers say in time that they serve."""
    try:
        async with asyncio.timeout(_SECONDS):
            embedder, searcher = await face_of(request).client.health()
    except TimeoutError:
        embedder = searcher = False
    found = {"status": "ok" if embedder and searcher else "unavailable", "embedder": embedder, "searcher": searcher}
    return JSONResponse(found, 200 if embedder and searcher else 503, headers=_FRESH)
