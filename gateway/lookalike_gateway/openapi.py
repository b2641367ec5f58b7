"""Add to the OpenAPI document what FastAPI does not know: refusals, and bodies that we read ourselves."""

import importlib.metadata
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lookalike_gateway.models.curation import Dismiss, Merge
from lookalike_gateway.models.feedback import Feedback
from lookalike_gateway.models.problem import Problem
from lookalike_gateway.models.project import ProjectChange
from lookalike_gateway.problems import MEDIA_TYPE

Json = dict[str, Any]
Responses = dict[int | str, Json]

_REFERENCE: Final = "#/components/schemas/{model}"
_REFUSALS: Final[Mapping[int, str]] = {
    400: "A parameter or a field breaks a rule.",
    401: "A token is missing, has expired, or is not one that is accepted; WWW-Authenticate says which.",
    403: "The token lacks the scope, or is not for the project, whether there is one or not.",
    404: "There is no such project or image, or nothing that may be shown.",
    408: "The body came too slowly.",
    409: "The request does not fit the project's state: its searches are off, or it is of another space.",
    413: "The body, or the photo, is too large.",
    414: "The URL is longer than 64 KiB.",
    415: "The body is of a type, or the photo of a format, that is not taken.",
    422: "The photo is broken.",
    429: "A limit is reached; Retry-After says when to come back.",
    431: "The request line and the header lines are longer than 64 KiB in all.",
    502: "A server failed.",
    503: "A server cannot be reached, or there is too much to do; Retry-After says when to come back.",
    504: "A server did not answer in time.",
}
_UNREAD: Final = (414, 431)
"""Refusals of a request before it is read have no request id."""

_REQUEST_ID: Final[Json] = {
    "x-request-id": {
        "description": "By which logs can be searched: the request's, or a new one.",
        "schema": {"type": "string"},
    }
}
_CHALLENGE: Final = {"WWW-Authenticate": {"description": "RFC 6750.", "schema": {"type": "string"}}}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
_HEADERS: Final[Mapping[int, Json]] = {401: _CHALLENGE, 403: _CHALLENGE, 429: _RETRY_AFTER, 503: _RETRY_AFTER}

BINARY: Final[Json] = {"type": "string", "format": "binary"}
_FORM: Final[Json] = {
    "type": "object",
    "properties": {"image": {**BINARY, "description": "The photo."}},
    "required": ["image"],
}
_PHOTO: Final[Json] = {
    "image/*": {"schema": BINARY},
    "application/octet-stream": {"schema": BINARY},
    "multipart/form-data": {"schema": _FORM},
}
PHOTO: Final[Json] = {"requestBody": {"required": False, "content": _PHOTO}}
"""The body of a search: a photo, or nothing where a page token carries the query."""
PHOTO_NEEDED: Final[Json] = {"requestBody": {"required": True, "content": _PHOTO}}


def takes(model: type[BaseModel]) -> Json:
    """Return how a body of JSON is described that is bounded while it is read, and so not read by FastAPI."""
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def gives(*media: str) -> Responses:
    """Return how an answer is described that is no JSON."""
    return {200: {"content": {kind: {"schema": BINARY} for kind in media}}}


def refusals(*statuses: int) -> Responses:
    """Return how an operation's refusals with these statuses are described."""
    return {status: _refusal(status) for status in statuses}


def _refusal(status: int) -> Json:
    content: Json = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model="Problem")}}}
    if status in _UNREAD:
        members = ("type", "title", "status", "reason", "detail")
        properties = {name: {"type": "integer" if name == "status" else "string"} for name in members}
        content = {MEDIA_TYPE: {"schema": {"type": "object", "properties": properties, "required": list(members)}}}
        return {"description": _REFUSALS[status], "content": content}
    if status == 400:
        content["text/plain"] = {"schema": {"type": "string", "description": "What is no HTTP, or has no end."}}
    headers = _REQUEST_ID | _HEADERS.get(status, {})
    return {"description": _REFUSALS[status], "headers": headers, "content": content}


PROBE: Final[Responses] = {200: {"headers": _REQUEST_ID}, **refusals(400, *_UNREAD)}
"""What any operation may answer."""
COMMON: Final[Responses] = {**PROBE, **refusals(401, 403, 429, 502, 503, 504)}
"""What any operation under /v1 may answer."""


_BODIES: Final = (Dismiss, Feedback, Merge, ProjectChange)
"""What is sent as JSON: FastAPI does not read it, so it does not know these models."""


def document(app: FastAPI) -> Json:
    """Return the whole OpenAPI document of the routes."""
    openapi_document = get_openapi(
        title="Lookalike",
        summary="Reverse image search: a photo in, the most similar photos of a catalogue out.",
        version=importlib.metadata.version("lookalike"),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/"}],
        routes=app.routes,
    )
    for operation in (operation for methods in openapi_document["paths"].values() for operation in methods.values()):
        if "application/json" in operation["responses"].get("422", {}).get("content", ()):
            del operation["responses"]["422"]  # FastAPI's own word for what we refuse with 400
        if "security" in operation:
            operation["security"].append({})  # or no token, where the servers are open
    schemas = openapi_document["components"]["schemas"]
    del schemas["HTTPValidationError"], schemas["ValidationError"]
    ours = models_json_schema(
        [*((model, "validation") for model in _BODIES), (Problem, "serialization")], ref_template=_REFERENCE
    )
    schemas |= ours[1]["$defs"]
    return openapi_document
