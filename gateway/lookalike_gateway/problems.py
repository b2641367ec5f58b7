"""Refuse with RFC 9457 problem details, by one table from gRPC's status codes to HTTP's."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import grpc
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike._transport.call_context import REQUEST_ID
from lookalike.errors import InvalidRequestError, LookalikeError, OverloadedError
from lookalike_serving.errors import DomainError
from lookalike_serving.security.audit import Record
from lookalike_serving.security.caller import CALLER
from lookalike_serving.security.errors import REFUSALS

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[Mapping[grpc.StatusCode, HTTPStatus]] = {
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    grpc.StatusCode.ABORTED: HTTPStatus.CONFLICT,
    grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.CONFLICT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.CANCELLED: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    grpc.StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    grpc.StatusCode.INTERNAL: HTTPStatus.BAD_GATEWAY,
    grpc.StatusCode.UNKNOWN: HTTPStatus.BAD_GATEWAY,
    grpc.StatusCode.DATA_LOSS: HTTPStatus.BAD_GATEWAY,
}
"""What went wrong behind us is not our own 500."""

_BY_REASON: Final[Mapping[str, HTTPStatus]] = {
    "IMAGE_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "TOO_MANY_PIXELS": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "CORRUPT_IMAGE": HTTPStatus.UNPROCESSABLE_ENTITY,
    "UNSUPPORTED_FORMAT": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
"""Where HTTP has a better word than for INVALID_ARGUMENT."""


CLOSE: Final = {"Connection": "close"}
"""For a refusal that does not wait for the rest of a body."""


class Refused(Exception):
    """The face itself refuses a request.

    Args:
        status: the answer's status.
        reason: a stable name for programs.
        detail: a sentence that names field, limit and value.
        violations: what is wrong, by parameter or field.
        headers: of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        reason: str,
        detail: str,
        *,
        violations: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail = status, reason, detail
        self.violations, self.headers = violations or {}, headers or {}


def invalid(name: str, rule: str, value: object) -> Refused:
    """Return the refusal of a parameter or field that breaks a rule."""
    found = str(value) if len(str(value)) <= 80 else f"{str(value)[:77]}..."
    detail = f"{name}: {rule}, got {found!r}"
    return Refused(HTTPStatus.BAD_REQUEST, "INVALID_PARAMETER", detail, violations={name: detail})


def body(
    status: HTTPStatus,
    reason: str,
    detail: str,
    *,
    violations: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the problem as RFC 9457 has it, with members of our own: reason, violations, metadata, requestId."""
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "reason": reason,
        "violations": [{"field": field, "detail": text} for field, text in (violations or {}).items()],
        "metadata": dict(metadata or {}),
        "requestId": REQUEST_ID.get(),
    }


def response(content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the response with that problem."""
    return JSONResponse(content, content["status"], headers, MEDIA_TYPE)


def status_of(error: LookalikeError) -> HTTPStatus:
    """Return the HTTP status of what the client library raised."""
    return _BY_REASON.get(error.reason) or STATUS.get(error.code, HTTPStatus.BAD_GATEWAY)


def of_library(error: LookalikeError) -> dict[str, Any]:
    """Return what the client library raised as a problem."""
    violations = error.violations if isinstance(error, InvalidRequestError) else {}
    return body(status_of(error), error.reason, str(error), violations=violations, metadata=error.metadata)


async def from_library(_request: Request, error: Exception) -> JSONResponse:
    """Return the response to a request on which the client library raised; RetryInfo becomes Retry-After."""
    assert isinstance(error, LookalikeError)  # noqa: S101 - it is registered for these alone
    seconds = error.retry_after if isinstance(error, OverloadedError) else None
    if seconds is None and status_of(error) is HTTPStatus.SERVICE_UNAVAILABLE:
        seconds = 1.0  # gRPC has tried again already; a pod that starts takes about as long
    headers = {"Retry-After": str(max(1, math.ceil(seconds)))} if seconds else {}
    return response(of_library(error), headers | _challenge(status_of(error), error.reason))


async def from_domain(request: Request, error: Exception) -> JSONResponse:
    """Return the response to a caller that is not let in. It is audited here, as no server hears of it."""
    assert isinstance(error, DomainError)  # noqa: S101
    status = STATUS[REFUSALS[type(error)]]
    record = Record()
    record.caller = CALLER.get()
    record.write(f"{request.method} {request.url.path}", REFUSALS[type(error)].name, REQUEST_ID.get(), error)
    headers = {"Retry-After": "1"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    found = body(status, error.reason, error.message, metadata=error.metadata)
    return response(found, headers | _challenge(status, error.reason))


def _challenge(status: HTTPStatus, reason: str) -> dict[str, str]:
    """What RFC 6750 has a program be told whose token is missing or not good enough."""
    errors = {HTTPStatus.UNAUTHORIZED: "invalid_token", HTTPStatus.FORBIDDEN: "insufficient_scope"}
    if status not in errors:
        return {}
    return {"WWW-Authenticate": "Bearer" + f' error="{errors[status]}"' * (reason != "TOKEN_MISSING")}


async def from_us(_request: Request, error: Exception) -> JSONResponse:
    """Return the response to what the gateway itself refuses."""
    assert isinstance(error, Refused)  # noqa: S101
    found = body(error.status, error.reason, error.detail, violations=error.violations)
    return response(found, error.headers)


async def from_starlette(request: Request, error: Exception) -> JSONResponse:
    """Return the response to what Starlette refuses: no such path or method, a broken multipart body."""
    assert isinstance(error, HTTPException)  # noqa: S101
    status = HTTPStatus(error.status_code)
    detail = error.detail
    if status is HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {request.url.path}; /docs says what there is"
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.url.path} takes no {request.method}"
    return response(body(status, _NAMES.get(status, "INVALID_BODY"), detail), error.headers)


def unexpected() -> JSONResponse:
    """Return the response to a failure of our own. The log has the cause; the response does not."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return response(body(status, "INTERNAL", "the face failed on this request; its log has the cause"))


_NAMES: Final = {
    HTTPStatus.NOT_FOUND: "PATH_NOT_FOUND",
    HTTPStatus.METHOD_NOT_ALLOWED: "METHOD_NOT_ALLOWED",
}
