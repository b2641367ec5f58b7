"""Who is let in. Before a body is read, and before a server is asked.

The caller's token is handed on to the servers, which decide for themselves. Where the face has keys of its own, it
looks at the token as they do: by the same table, as each operation stands for an RPC.
"""

from starlette.requests import Request

from lookalike.channel import SEARCHER
from lookalike.http.operations import Operation
from lookalike.security import gate
from lookalike.security.caller import CALLER
from lookalike.security.config import Security
from lookalike.security.errors import PermissionDenied
from lookalike.security.guard import bearer
from lookalike.security.permission import PERMISSIONS
from lookalike.servers import TOKEN


class Door:
    """Of one application. Raises InvalidSecurity."""

    def __init__(self, security: Security) -> None:
        self._verifier = gate.verifier(security)

    async def admit(self, request: Request, operation: Operation) -> None:
        """Let a request in; from now on its token is TOKEN.

        Raises:
            DomainError: one of those in `lookalike.security.errors`.
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
