"""Decide who is let in, before a body is read and before a server is asked.

The caller's token is handed on to the servers, which decide for themselves. Where the gateway has keys of its own, it
looks at the token as they do: by the same table, as each operation stands for an RPC.
"""

from fastapi.requests import HTTPConnection
from fastapi.security import HTTPBearer

from lookalike._transport.call_context import TOKEN
from lookalike._transport.channel import SEARCHER
from lookalike_gateway.state import state_of
from lookalike_serving.security.authentication import bearer
from lookalike_serving.security.caller import CALLER
from lookalike_serving.security.errors import PermissionDenied
from lookalike_serving.security.permissions import PERMISSIONS


class Permission(HTTPBearer):
    """The permission of one of the servers' RPCs lets a caller in; as a dependency, it is in the document too."""

    def __init__(self, rpc: str, service: str = SEARCHER) -> None:
        super().__init__(bearerFormat="JWT", scheme_name="token", auto_error=False)
        self._scopes = PERMISSIONS[f"{service}/{rpc}"].scopes

    async def __call__(self, request: HTTPConnection) -> None:
        """Let a request in; from now on its token is TOKEN.

        Raises:
            DomainError: one of those in `lookalike_serving.security.errors`.
        """
        verifier = (await state_of(request)).verifier
        authorization = [("authorization", value) for value in request.headers.getlist("authorization")]
        if not (authorization or verifier):
            return
        token = bearer(authorization)
        TOKEN.set(token)
        if verifier:
            caller = await verifier.verify(token)
            CALLER.set(caller)
            if not caller.has_any(self._scopes):
                raise PermissionDenied.scope(self._scopes)
            project = request.path_params.get("project", "")
            if project and not caller.may_touch(project):
                raise PermissionDenied.project(project)
