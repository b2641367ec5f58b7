"""Show projects and their state, and switch their searches on and off."""

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookalike_gateway import respond
from lookalike_gateway.parameter import Given
from lookalike_gateway.problems import Refused
from lookalike_gateway.state import face_of

_MAX_JSON: Final = 16 * 1024
_LIVE: Final = {"Cache-Control": "no-store"}


async def listed(request: Request, given: Given) -> Response:
    """Return one page of the projects."""
    page = await face_of(request).client.project_page(page_size=given["limit"], page_token=given["page_token"] or "")
    found = {"projects": list(map(respond.project, page.projects)), "nextPageToken": page.next_page_token}
    return JSONResponse(found, headers=_LIVE)


async def shown(request: Request, given: Given) -> Response:
    """Return one project with its spaces."""
    found = await face_of(request).client.get_project(given["project"])
    return JSONResponse(respond.project(found), headers=_LIVE)


async def switched(request: Request, given: Given) -> Response:
    """Switch a project's searches on or off."""
    face = face_of(request)
    enabled = _enabled(await face.uploads.json(request, _MAX_JSON))
    found = await face.client.update_project(given["project"], search_enabled=enabled)
    return JSONResponse(respond.project(found), headers=_LIVE)


def _enabled(body: object) -> bool:
    if isinstance(body, dict) and set(body) == {"searchEnabled"} and isinstance(body["searchEnabled"], bool):
        return body["searchEnabled"]
    rule = "the body must be an object with searchEnabled, true or false, and nothing else"
    raise Refused(HTTPStatus.BAD_REQUEST, "INVALID_BODY", rule, violations={"searchEnabled": rule})
