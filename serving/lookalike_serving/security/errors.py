"""Refuse callers, with status codes for the tables of both servers.

DomainError
├── Unauthenticated      TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED
├── KeysUnavailable      KEYS_UNAVAILABLE
├── PermissionDenied     SCOPE_MISSING, PROJECT_DENIED
└── TokenQuotaExceeded   TOKEN_QUOTA_EXCEEDED
"""

from collections.abc import Iterable, Mapping
from typing import Final

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from lookalike_serving.errors import DomainError, retry_info


class Unauthenticated(DomainError):
    """There is no token, or it is not valid.

    Attributes:
        cause: what exactly is wrong with the token, for our own log. Callers are not told, as that would help forgers.
    """

    def __init__(self, reason: str, message: str, cause: str = "") -> None:
        super().__init__(reason, message)
        self.cause = cause

    @classmethod
    def missing(cls) -> "Unauthenticated":
        """The call has no bearer token."""
        return cls("TOKEN_MISSING", "authorization: a bearer token is required")

    @classmethod
    def invalid(cls, cause: str) -> "Unauthenticated":
        """The token was not made for us by an issuer that we trust."""
        return cls("TOKEN_INVALID", "authorization: the token is not one that is accepted here", cause)

    @classmethod
    def expired(cls) -> "Unauthenticated":
        """The token was valid, and has expired."""
        return cls("TOKEN_EXPIRED", "authorization: the token has expired")


class KeysUnavailable(DomainError):
    """There are no keys yet to verify tokens with."""

    def __init__(self) -> None:
        super().__init__("KEYS_UNAVAILABLE", "the keys that verify tokens cannot be had at the moment; try again")


class PermissionDenied(DomainError):
    """The caller is known, but may not do this."""

    @classmethod
    def scope(cls, needed: Iterable[str]) -> "PermissionDenied":
        """The token does not have any of the scopes that the RPC needs."""
        names = " or ".join(sorted(needed))
        return cls("SCOPE_MISSING", f"the token has not the scope that this needs: {names}", scope=names)

    @classmethod
    def project(cls, name: str) -> "PermissionDenied":
        """The token is not for this project, whether the project exists or not."""
        shown = name if len(name) <= 80 else f"{name[:77]}..."
        return cls("PROJECT_DENIED", f"the token is not for project {shown!r}", project=shown)


class TokenQuotaExceeded(DomainError):
    """The caller makes more requests than its rate allows.

    Args:
        subject: the caller's name.
        limit: requests a second.
        retry_seconds: seconds until the next request is admitted.
    """

    def __init__(self, subject: str, limit: float, retry_seconds: float) -> None:
        message = f"this token may make {limit:g} requests a second; try again in {retry_seconds:.3f} s"
        super().__init__("TOKEN_QUOTA_EXCEEDED", message, limit_requests_per_second=limit)
        self._subject, self._retry_seconds = subject, retry_seconds

    def details(self) -> Iterable[Message]:
        """Yield whose quota is exceeded, and when to try again."""
        violation = error_details_pb2.QuotaFailure.Violation(subject=f"token:{self._subject}", description=self.message)
        yield error_details_pb2.QuotaFailure(violations=[violation])
        yield retry_info(self._retry_seconds)


REFUSALS: Final[Mapping[type[DomainError], grpc.StatusCode]] = {
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    KeysUnavailable: grpc.StatusCode.UNAVAILABLE,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    TokenQuotaExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
