"""Decide who is let in, before a body is read and before a server is asked.

The caller's token is handed on to the servers, which decide for themselves. Where the face has keys of its own, it
looks at the token as they do: by the same table, as each operation stands for an RPC.
"""

from starlette.requests import Request

from lookalike._transport.call_context import TOKEN
from lookalike._transport.channel import SEARCHER
from lookalike_gateway.operations import Operation
from lookalike_serving.security import factory
from lookalike_serving.security.authentication import bearer
from lookalike_serving.security.caller import CALLER
from lookalike_serving.security.config import Security
from lookalike_serving.security.errors import PermissionDenied
from lookalike_serving.security.permissions import PERMISSIONS


class Door:
    """The door of one application lets callers in or not. Raises InvalidSecurity."""

    def __init__(self, security: Security) -> None:
        self._verifier = factory.verifier(security)

    async def admit(self, request: Request, operation: Operation) -> None:
        """Let a request in; from now on its token is TOKEN.

        Raises:
            DomainError: one of those in `lookalike_serving.security.errors`.
        """
        given = [("authorization", value) for value in request.headers.getlist("authorization")]
        if not operation.rpc or not (given or self._verifier):
            return
        token = bearer(given)
        TOKEN.set(token)
        if self._verifier:
            caller = await self._verifier.verify(token)
            CALLER.set(caller)
            needed = PERMISSIONS[f"{SEARCHER}/{operation.rpc}"].scopes
            if not caller.has_any(needed):
                raise PermissionDenied.scope(needed)
            project = request.path_params.get("project", "")
            if project and not caller.may_touch(project):
                raise PermissionDenied.project(project)
