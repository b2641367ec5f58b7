"""Describe the caller of an RPC."""

import math
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from lookalike.constants import SCOPES


@dataclass(frozen=True)
class Caller:
    """A caller has a name, and may do what its token says.

    Attributes:
        subject: the name in the token or in the client's certificate; empty where callers need neither.
        token_id: the token's own id (`jti`), if it has one.
        scopes: what the caller may do.
        projects: the projects it may use: names, or beginnings of names that end in `*`.
        expires: when the token expires, in seconds since 1970.
        rate: the caller's requests a second; 0: the server's default.
    """

    subject: str = ""
    token_id: str = ""
    scopes: frozenset[str] = SCOPES
    projects: tuple[str, ...] = ("*",)
    expires: float = math.inf
    rate: float = 0.0

    def has_any(self, scopes: Iterable[str]) -> bool:
        """Return whether the caller has one of these scopes."""
        return not self.scopes.isdisjoint(scopes)

    def may_touch(self, project_name: str) -> bool:
        """Return whether the caller may use a project of this name, which need not exist."""
        return any(
            project_name.startswith(name.removesuffix("*")) if name.endswith("*") else project_name == name
            for name in self.projects
        )


ANYBODY: Final = Caller()
"""The caller is this one where callers need neither token nor certificate."""

CALLER: Final[ContextVar[Caller]] = ContextVar("caller", default=ANYBODY)
"""The caller of the RPC that this task serves. Tasks that it starts have it, too."""
