"""Check who makes an RPC, how often, with which scope, and on which project, in this order."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from lookalike_serving.errors import Context
from lookalike_serving.rate_limit import Buckets
from lookalike_serving.security.audit import Record
from lookalike_serving.security.caller import ANYBODY, CALLER, Caller
from lookalike_serving.security.errors import PermissionDenied, TokenQuotaExceeded, Unauthenticated
from lookalike_serving.security.permissions import NOBODYS, PERMISSIONS, Permission

_MAX_TOKEN: Final = 6 * 1024
"""A longer token is not looked at. gRPC refuses metadata of more than 8 KiB at random."""
_SCHEME: Final = "bearer "
_MAX_NAME: Final = 80
"""A project's name is cut to so many characters in the audit log; real names are shorter."""


class Verifier(Protocol):
    """A verifier knows the caller that a token stands for."""

    async def verify(self, token: str) -> Caller:
        """Return the caller that the token stands for. Raises Unauthenticated, KeysUnavailable."""
        ...


class Guard:
    """The guard identifies and admits the callers of one server.

    Args:
        verifier: verifies tokens; None: callers need no token.
        certified: whether connections need a client's certificate; without a verifier, it names the caller.
        rate: requests a second for a caller whose token names no rate; 0: any number.
    """

    def __init__(self, verifier: Verifier | None = None, *, certified: bool = False, rate: float = 0.0) -> None:
        self._verifier, self._certified = verifier, certified
        self._rate = rate
        self._buckets: Buckets[str] = Buckets()

    async def identify(self, metadata: Iterable[tuple[str, str | bytes]], context: Context) -> Caller:
        """Return the caller, and set it as CALLER. Raises Unauthenticated, KeysUnavailable."""
        if self._verifier:
            caller = await self._verifier.verify(bearer(metadata))
        else:
            caller = _certified(context.auth_context()) if self._certified else ANYBODY
        CALLER.set(caller)
        return caller

    def admit(self, caller: Caller, method: str) -> None:
        """Let the caller make this call. `permit` checks the projects that its request names.

        Raises:
            TokenQuotaExceeded: the caller's rate is exceeded.
            PermissionDenied: the caller lacks the scope.
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
    """Check that the caller may use the projects that a request names, whether they exist or not.

    Raises:
        PermissionDenied: the caller may not use one of them.
    """
    for name in permission.projects(request) if permission.projects else ():
        if name:
            record.projects[name[:_MAX_NAME]] = None
            if record.caller and not record.caller.may_touch(name):
                raise PermissionDenied.project(name)


def bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the bearer token of a call's metadata. Raises Unauthenticated."""
    values = [str(value) for name, value in metadata if name.lower() == "authorization"]
    if not values:
        raise Unauthenticated.missing()
    if len(values) > 1:
        raise Unauthenticated.invalid("several authorizations")
    if not values[0].lower().startswith(_SCHEME):
        raise Unauthenticated.invalid("not a bearer token")
    token = values[0][len(_SCHEME) :].strip()
    if not 0 < len(token) <= _MAX_TOKEN:
        raise Unauthenticated.invalid(f"{len(token)} characters")
    return token


def _certified(auth: Mapping[str, Iterable[bytes]]) -> Caller:
    """Return the caller that the client's certificate names.

    It may do everything: we trust whom its authority trusts.
    """
    for name in ("x509_common_name", "x509_subject_alternative_name"):
        for value in auth.get(name, ()):
            return Caller(subject=value.decode(errors="replace"))
    return Caller(subject="a client without a name")
