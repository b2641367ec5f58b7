"""Make the OpenAPI 3.1 document of what the routes are made of."""

import importlib.metadata
from http import HTTPStatus
from typing import Any, Final

from lookalike_gateway.operations import ANYWHERE, COMMON_PROBLEMS, JSON, OPERATIONS, Operation
from lookalike_gateway.problems import MEDIA_TYPE
from lookalike_gateway.schema import SCHEMAS, ref

Json = dict[str, Any]

_BINARY: Final[Json] = {"type": "string", "format": "binary"}
_FORM: Final[Json] = {
    "type": "object",
    "properties": {"image": {**_BINARY, "description": "The photo."}},
    "required": ["image"],
}
_BEARER: Final[Json] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
_CHALLENGE: Final = {"WWW-Authenticate": {"description": "RFC 6750.", "schema": {"type": "string"}}}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
_REQUEST_ID: Final = {
    "x-request-id": {
        "description": "By which logs can be searched: the request's, or a new one.",
        "schema": {"type": "string"},
    }
}

_REFUSAL: Final[Json] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "reason", "detail")},
        "status": {"type": "integer"},
    },
    "required": ["type", "title", "status", "reason", "detail"],
}
_UNREAD: Final[Json] = {
    status: {"description": description, "content": {MEDIA_TYPE: {"schema": _REFUSAL}}}
    for status, description in {
        "414": "The URL is longer than 64 KiB.",
        "431": "The request line and the header lines are longer than 64 KiB in all.",
    }.items()
}
"""Refusals of any request, before it is read. They have no request id."""


def document() -> Json:
    """Return the whole OpenAPI document."""
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lookalike",
            "summary": "Reverse image search: a photo in, the most similar photos of a catalogue out.",
            "version": importlib.metadata.version("lookalike"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": dict(SCHEMAS), "securitySchemes": {"token": _BEARER}},
    }


def _operation(operation: Operation) -> Json:
    found: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [parameter.described() for parameter in operation.parameters],
        "responses": {"200": _answer(operation), **_problems(operation), **_UNREAD},
    }
    if operation.rpc:
        found["security"] = [{"token": []}, {}]  # `{}`: or none, where the servers are open
    if operation.body:
        found["requestBody"] = {
            "required": operation.body == (JSON,),
            "content": {media: {"schema": _taken(media, operation)} for media in operation.body},
        }
    return found


def _taken(media: str, operation: Operation) -> Json:
    if media == JSON:
        return ref(operation.takes)
    return _FORM if media == "multipart/form-data" else _BINARY


def _answer(operation: Operation) -> Json:
    schema = ref(operation.answer) if operation.answer else _BINARY
    return {
        "description": f"{operation.summary}.",
        "headers": _REQUEST_ID,
        "content": {operation.media: {"schema": schema}},
    }


def _problems(operation: Operation) -> Json:
    if operation.name in ("live", "ready"):
        bad = {"400": _problem(400)}  # a parameter that is none
        unready = {"description": "One does not answer.", "content": {JSON: {"schema": ref("Health")}}}
        return bad | ({"503": unready} if operation.name == "ready" else {})
    return {str(status): _problem(status) for status in sorted({*ANYWHERE, *operation.problems})}


def _problem(status: int) -> Json:
    headers = (
        _REQUEST_ID | (_RETRY_AFTER if status in (429, 503) else {}) | (_CHALLENGE if status in (401, 403) else {})
    )
    content: Json = {MEDIA_TYPE: {"schema": ref("Problem")}}
    if status == HTTPStatus.BAD_REQUEST:
        content["text/plain"] = {"schema": {"type": "string", "description": "What is no HTTP, or has no end."}}
    return {"description": COMMON_PROBLEMS[status], "headers": headers, "content": content}
