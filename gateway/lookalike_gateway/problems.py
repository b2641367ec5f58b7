"""Refuse with RFC 9457 problem details, by one table from gRPC's status codes to HTTP's."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import grpc
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from lookalike._transport.call_context import REQUEST_ID
from lookalike.errors import InvalidRequestError, LookalikeError, OverloadedError
from lookalike_gateway.models.problem import Problem, Violation
from lookalike_serving.errors import DomainError
from lookalike_serving.security.audit import Record
from lookalike_serving.security.caller import CALLER
from lookalike_serving.security.errors import REFUSALS

MEDIA_TYPE: Final = "application/problem+json"

_METHODS: Final = ("GET", "HEAD", "POST", "PATCH", "DELETE")

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


class Refused(HTTPException):
    """The gateway itself refuses a request.

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
        super().__init__(status, detail, headers)
        self.reason, self.violations = reason, violations or {}


def invalid(name: str, rule: str, value: object) -> Refused:
    """Return the refusal of a parameter that breaks a rule."""
    detail = _broken(name, rule, value)
    return Refused(HTTPStatus.BAD_REQUEST, "INVALID_PARAMETER", detail, violations={name: detail})


def _broken(name: str, rule: str, value: object) -> str:
    shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}..."
    return f"{name}: {rule}, got {shown}"


def problem(
    status: int,
    reason: str,
    detail: str,
    *,
    violations: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Problem:
    """Return the problem as RFC 9457 has it, with members of our own: reason, violations, metadata, requestId."""
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        reason=reason,
        violations=[Violation(field=field, detail=text) for field, text in (violations or {}).items()],
        metadata=dict(metadata or {}),
        request_id=REQUEST_ID.get(),
    )


def response(content: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response with that problem."""
    return Response(content.model_dump_json(), content.status, headers, MEDIA_TYPE)


def status_of(error: LookalikeError) -> HTTPStatus:
    """Return the HTTP status of what the client library raised."""
    return _BY_REASON.get(error.reason) or STATUS.get(error.code, HTTPStatus.BAD_GATEWAY)


def of_library(error: LookalikeError) -> Problem:
    """Return what the client library raised as a problem."""
    violations = error.violations if isinstance(error, InvalidRequestError) else {}
    return problem(status_of(error), error.reason, str(error), violations=violations, metadata=error.metadata)


async def from_library(_request: Request, error: Exception) -> Response:
    """Return the response to a request on which the client library raised; RetryInfo becomes Retry-After."""
    assert isinstance(error, LookalikeError)  # noqa: S101 - it is registered for these alone
    seconds = error.retry_after if isinstance(error, OverloadedError) else None
    if seconds is None and status_of(error) is HTTPStatus.SERVICE_UNAVAILABLE:
        seconds = 1.0  # gRPC has tried again already; a pod that starts takes about as long
    headers = {"Retry-After": str(max(1, math.ceil(seconds)))} if seconds else {}
    return response(of_library(error), headers | _challenge(status_of(error), error.reason))


async def from_domain(request: Request, error: Exception) -> Response:
    """Return the response to a caller that is not let in. It is audited here, as no server hears of it."""
    assert isinstance(error, DomainError)  # noqa: S101
    status = STATUS[REFUSALS[type(error)]]
    record = Record()
    record.caller = CALLER.get()
    record.write(f"{request.method} {request.url.path}", REFUSALS[type(error)].name, REQUEST_ID.get(), error)
    headers = {"Retry-After": "1"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    refusal = problem(status, error.reason, error.message, metadata=error.metadata)
    return response(refusal, headers | _challenge(status, error.reason))


def _challenge(status: HTTPStatus, reason: str) -> dict[str, str]:
    """What RFC 6750 has a program be told whose token is missing or not good enough."""
    errors = {HTTPStatus.UNAUTHORIZED: "invalid_token", HTTPStatus.FORBIDDEN: "insufficient_scope"}
    if status not in errors:
        return {}
    return {"WWW-Authenticate": "Bearer" + f' error="{errors[status]}"' * (reason != "TOKEN_MISSING")}


async def from_us(_request: Request, error: Exception) -> Response:
    """Return the response to what the gateway itself refuses."""
    assert isinstance(error, Refused)  # noqa: S101
    return response(problem(error.status_code, error.reason, error.detail, violations=error.violations), error.headers)


async def from_validation(_request: Request, error: Exception) -> Response:
    """Return the response to parameters or a body that break the rules of their models."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    violations = dict(_violation(failure) for failure in error.errors())
    reason = "INVALID_BODY" if error.errors()[0]["loc"][0] == "body" else "INVALID_PARAMETER"
    return response(problem(HTTPStatus.BAD_REQUEST, reason, "; ".join(violations.values()), violations=violations))


def _violation(failure: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name of what breaks a rule, and the sentence about it."""
    place, *path = failure["loc"]
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    if place != "body":
        name = str(path[0])
    name = name or "the body"
    if failure["type"] == "missing":  # its input is all that the field is missing from
        return name, f"{name}: is required"
    rule = "is not known here" if failure["type"] == "extra_forbidden" else failure["msg"]
    return name, _broken(name, rule, failure["input"])


async def from_http(request: Request, error: Exception) -> Response:
    """Return the response to what FastAPI refuses: no such path or method, a broken multipart body."""
    assert isinstance(error, HTTPException)  # noqa: S101
    reason, detail, headers = "INVALID_BODY", error.detail, error.headers
    if error.status_code == HTTPStatus.NOT_FOUND:
        reason, detail = "PATH_NOT_FOUND", f"there is nothing at {request.url.path}; /docs says what there is"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        reason, detail = "METHOD_NOT_ALLOWED", f"{request.url.path} takes no {request.method}"
        headers = {"Allow": ", ".join(_allowed(request))}
    return response(problem(error.status_code, reason, detail), headers)


def _allowed(request: Request) -> list[str]:
    """Return the methods that the path takes: FastAPI itself names those of one of its routes alone."""
    scopes = {method: {**request.scope, "method": "GET" if method == "HEAD" else method} for method in _METHODS}
    routes = request.app.routes
    return [name for name, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]


def unexpected() -> Response:
    """Return the response to a failure of our own. The log has the cause; the response does not."""
    detail = "the gateway failed on this request; its log has the cause"
    return response(problem(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL", detail))
