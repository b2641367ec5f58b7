"""The library raises these exceptions.

    LookalikeError
    ├── UnreadableImageError     an image's file cannot be read here; nothing was sent
    ├── InvalidRequestError      a field of the request breaks a rule; `violations` names them
    ├── UnauthenticatedError     a token is missing, has expired, or is not one that the server accepts
    ├── PermissionDeniedError    the token lacks the scope, or is not for the project, whether there is one or not
    ├── NotFoundError            no such project or image
    ├── AlreadyExistsError       the name is taken
    ├── PreconditionError        the request does not fit what is stored, for example a vector of another space
    ├── OverloadedError          too much is asked for at once; `retry_after` says when to come back
    │   └── QuotaExceededError   a limit of the project; where `retry_after` is None, waiting does not help
    ├── DeadlineExceededError    no answer within the timeout
    ├── UnavailableError         the server cannot be reached, also after retries
    └── ServerError              the server failed, or answered with something that this version does not know

Every one has `reason` (stable, for programs, as the protos list them), `metadata` (the values of the message by name),
`code` (the gRPC status code) and `request_id` (by which the server's log can be searched).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from lookalike.constants import ERROR_DOMAIN
from lookalike.v1.common_pb2 import ItemError


class LookalikeError(Exception):
    """The library raises nothing that is not one of these.

    Attributes:
        reason: the stable name of what went wrong, for example `PROJECT_NOT_FOUND`; empty if the server gave none.
        metadata: the values of the message, by name.
        code: the gRPC status code.
        request_id: the `x-request-id` of the call, as the server told it or as it was sent; empty if there was no call.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.code = code
        self.request_id = request_id


class UnreadableImageError(LookalikeError):
    """An image's file cannot be read here; nothing was sent."""


class InvalidRequestError(LookalikeError):
    """A field of the request is against a rule.

    Attributes:
        violations: what is wrong, by the field's path.
    """

    violations: Mapping[str, str] = {}


class UnauthenticatedError(LookalikeError):
    """A token is missing, has expired, or is not one that the server accepts."""


class PermissionDeniedError(LookalikeError):
    """The token lacks the scope, or is not for the project, whether there is one or not."""


class NotFoundError(LookalikeError):
    """There is no such project or image."""


class AlreadyExistsError(LookalikeError):
    """The name is already taken by another."""


class PreconditionError(LookalikeError):
    """The request does not fit what is stored."""


class OverloadedError(LookalikeError):
    """Too much is asked for at once: the server has too much to do, or a limit of the project is reached.

    Attributes:
        retry_after: seconds until it is worth trying again; None if the server did not say.
    """

    retry_after: float | None = None


class QuotaExceededError(OverloadedError):
    """A limit of the project is reached, see `metadata`: its images, hits or searches, or what it does at once."""


class DeadlineExceededError(LookalikeError):
    """There was no answer within the timeout."""


class UnavailableError(LookalikeError):
    """The server cannot be reached, also after retries."""


class ServerError(LookalikeError):
    """The server has failed, or has answered with something that this version does not know."""


_BY_CODE: Final[Mapping[grpc.StatusCode, type[LookalikeError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    grpc.StatusCode.FAILED_PRECONDITION: PreconditionError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.CANCELLED: UnavailableError,
}
QUOTA_EXCEEDED: Final = "_QUOTA_EXCEEDED"
"""The reasons of exceeded quotas end so."""
_QUOTA_REASONS: Final = (QUOTA_EXCEEDED, "PROJECT_BUSY")
"""How the reasons of errors with a QuotaFailure end. The errors of items have a reason, but no details."""
_BY_NUMBER: Final[Mapping[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}


_SECONDS: Final = re.compile(r"\d{1,6}\.\d+")

TLS_FAILED: Final = "TLS_FAILED"
"""The reason of what a certificate is to blame for: to wait does not help."""
NOT_SERVING: Final = "NOT_SERVING"
"""The reason of what failed since all servers behind an address say, by their health, that they do not serve just now.
The call has not been sent to any of them."""
_UNHEALTHY: Final = "backend unhealthy"
"""gRPC's text for that. It has no code for it."""
_TLS_TROUBLES: Final[Mapping[str, str]] = {
    "certificate has expired": "its certificate has expired",
    "certificate is not yet valid": "its certificate is not valid yet",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not of an authority that we believe; see LOOKALIKE_TLS_CA",
    "Hostname Verification Check failed": "its certificate is for another name than the one in the address",
    "WRONG_VERSION_NUMBER": "it does not speak TLS; see LOOKALIKE_TLS and LOOKALIKE_TLS_CA",
}
"""What gRPC's texts mean, by a part of them. It has no codes for that."""
_CLOSED_AT_ONCE: Final = re.compile("(failed to connect|backends failing).*(Socket closed|reset by peer)", re.DOTALL)
"""How it looks where a server's handshake fails: the server does not say why."""


def closed() -> LookalikeError:
    """The client was closed while it was used, or before."""
    return LookalikeError("the client is closed", reason="CLIENT_CLOSED", code=grpc.StatusCode.CANCELLED)


def from_item(error: ItemError, request_id: str = "") -> LookalikeError:
    """Return the failure of one item of a stream that bore this request id."""
    code = _BY_NUMBER.get(error.code, grpc.StatusCode.UNKNOWN)
    kind = _kind(code, error.reason)
    failure = kind(error.message, reason=error.reason, metadata=error.metadata, code=code)
    failure.request_id = request_id
    if isinstance(failure, OverloadedError) and _SECONDS.fullmatch(error.metadata.get("retry_seconds", "")):
        failure.retry_after = float(error.metadata["retry_seconds"])
    if isinstance(failure, InvalidRequestError) and "field" in error.metadata:
        failure.violations = {error.metadata["field"]: error.message}
    return failure


def from_rpc(error: grpc.aio.AioRpcError, server: str) -> LookalikeError:
    """Return the failure of a whole RPC.

    Args:
        error: what gRPC raised.
        server: which server it was, for the message of a failure that gRPC itself found.
    """
    status = _status(error)
    if status is None:
        return _of_grpc_itself(error, server)
    info = _detail(status, error_details_pb2.ErrorInfo())
    reason = info.reason if info.domain == ERROR_DOMAIN else ""
    failure = _kind(error.code(), reason)(
        status.message,
        reason=reason,
        metadata=info.metadata,
        code=error.code(),
        request_id=_detail(status, error_details_pb2.RequestInfo()).request_id,
    )
    if isinstance(failure, InvalidRequestError):
        bad = _detail(status, error_details_pb2.BadRequest())
        failure.violations = {violation.field: violation.description for violation in bad.field_violations}
    if isinstance(failure, OverloadedError):
        delay = _detail(status, error_details_pb2.RetryInfo()).retry_delay
        failure.retry_after = delay.ToTimedelta().total_seconds() or None
    return failure


def _kind(code: grpc.StatusCode, reason: str) -> type[LookalikeError]:
    kind = _BY_CODE.get(code, ServerError)
    return QuotaExceededError if kind is OverloadedError and reason.endswith(_QUOTA_REASONS) else kind


def _of_grpc_itself(error: grpc.aio.AioRpcError, server: str) -> LookalikeError:
    """A failure that the server's code never saw."""
    details = error.details() or ""
    kind = _BY_CODE.get(error.code(), ServerError)
    if kind is OverloadedError and "larger than max" in details:  # sending it again would not make it smaller
        kind = InvalidRequestError
    for mark, meaning in _TLS_TROUBLES.items():
        if mark in details:
            return kind(f"{server}: {meaning}", reason=TLS_FAILED, code=error.code())
    if _UNHEALTHY in details:
        return kind(f"{server}: it answers, but says that it does not serve", reason=NOT_SERVING, code=error.code())
    if error.code() is grpc.StatusCode.CANCELLED:
        details = "it, or a proxy before it, reset the call: it has too much to do"
    if _CLOSED_AT_ONCE.search(details):
        details += (
            " (it closes connections at once: it may want TLS, see LOOKALIKE_TLS_CA, or a certificate of ours, of an"
            " authority that it believes, see LOOKALIKE_TLS_CLIENT_CERT)"
        )
    return kind(f"{server}: {details}", code=error.code())


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    try:
        return rpc_status.from_call(error)  # type: ignore[arg-type] # it asks for no more than the error has
    except (ValueError, DecodeError):  # a proxy rewrote the status: what it says now counts
        return None


def _detail(status: status_pb2.Status, message: Any) -> Any:  # noqa: ANN401 - any of the detail messages
    """The status' detail of the same type as `message`, or `message`, empty, itself."""
    for detail in status.details:
        if detail.Unpack(message):
            break
    return message
