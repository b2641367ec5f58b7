"""Lets RPCs in, or does not: who calls, how often, with which scope, on which project; in this order."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from lookalike_serving.errors import Context
from lookalike_serving.rate_limit import Buckets
from lookalike_serving.security.audit import Record
from lookalike_serving.security.caller import ANYBODY, CALLER, Caller
from lookalike_serving.security.errors import PermissionDenied, TokenQuotaExceeded, Unauthenticated
from lookalike_serving.security.permissions import NOBODYS, PERMISSIONS, Permission

_MAX_TOKEN: Final = 6 * 1024
"""Characters of the longest token that is looked at. Of all metadata, gRPC refuses more than 8 KiB at random."""
_SCHEME: Final = "bearer "
_MAX_NAME: Final = 80
"""Characters of a project's name that are written down: more than a real one has."""


class Verifier(Protocol):
    """Knows whom a token stands for."""

    async def verify(self, token: str) -> Caller:
        """The caller. Raises Unauthenticated, KeysUnavailable."""
        ...


class Guard:
    """Of one server.

    Args:
        verifier: verifies tokens; None: none is asked for.
        certified: whether connections need a client's certificate; where no token is asked for, it names the caller.
        rate: requests a second of a caller whose token does not say; 0: any number.
    """

    def __init__(self, verifier: Verifier | None = None, *, certified: bool = False, rate: float = 0.0) -> None:
        self._verifier, self._certified = verifier, certified
        self._rate = rate
        self._buckets: Buckets[str] = Buckets()

    async def identify(self, metadata: Iterable[tuple[str, str | bytes]], context: Context) -> Caller:
        """Who calls; from now on he is CALLER. Raises Unauthenticated, KeysUnavailable."""
        if self._verifier:
            caller = await self._verifier.verify(bearer(metadata))
        else:
            caller = _certified(context.auth_context()) if self._certified else ANYBODY
        CALLER.set(caller)
        return caller

    def admit(self, caller: Caller, method: str) -> None:
        """Let him make this call, if its request names no project that is not his.

        Raises:
            TokenQuotaExceeded: he comes too often.
            PermissionDenied: he lacks the scope.
        """
        if caller is ANYBODY:
            return
        rate = caller.rate or self._rate
        if rate and (wait := self._buckets.take(caller.subject, rate)):
            raise TokenQuotaExceeded(caller.subject, rate, wait)
        permission = PERMISSIONS.get(method, NOBODYS)
        if not caller.has_any(permission.scopes):
            raise PermissionDenied.scope(permission.scopes)


def permit(permission: Permission, record: Record, request: Any) -> None:  # noqa: ANN401 - any request
    """Check that the projects that a request names are the caller's, whether they exist or not.

    Raises:
        PermissionDenied: one is not.
    """
    for name in permission.projects(request) if permission.projects else ():
        if name:
            record.projects[name[:_MAX_NAME]] = None
            if record.caller and not record.caller.may_touch(name):
                raise PermissionDenied.project(name)


def bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The bearer token. Raises Unauthenticated."""
    found = [str(value) for name, value in metadata if name.lower() == "authorization"]
    if not found:
        raise Unauthenticated.missing()
    if len(found) > 1:
        raise Unauthenticated.invalid("several authorizations")
    if not found[0].lower().startswith(_SCHEME):
        raise Unauthenticated.invalid("not a bearer token")
    token = found[0][len(_SCHEME) :].strip()
    if not 0 < len(token) <= _MAX_TOKEN:
        raise Unauthenticated.invalid(f"{len(token)} characters")
    return token


def _certified(auth: Mapping[str, Iterable[bytes]]) -> Caller:
    """Whoever the client's certificate names may do everything: whom its authority trusts, we trust."""
    for name in ("x509_common_name", "x509_subject_alternative_name"):
        for value in auth.get(name, ()):
            return Caller(subject=value.decode(errors="replace"))
    return Caller(subject="a client without a name")
