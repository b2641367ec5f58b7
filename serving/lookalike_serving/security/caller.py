"""Who is served."""

import math
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from lookalike.constants import SCOPES


@dataclass(frozen=True)
class Caller:
    """Somebody, and what he may do.

    Attributes:
        subject: whom the token names, or the client's certificate; empty where nobody is asked for a name.
        token_id: the token's own id (`jti`), if it has one.
        scopes: what he may do.
        projects: with which: names, or beginnings of names that end in `*`.
        expires: when the token counts no longer, in seconds since 1970.
        rate: his requests a second; 0: the server's own limit.
    """

    subject: str = ""
    token_id: str = ""
    scopes: frozenset[str] = SCOPES
    projects: tuple[str, ...] = ("*",)
    expires: float = math.inf
    rate: float = 0.0

    def has_any(self, scopes: Iterable[str]) -> bool:
        """Whether one of these scopes is his."""
        return not self.scopes.isdisjoint(scopes)

    def may_touch(self, project: str) -> bool:
        """Whether the project of this name, if there is one, is his."""
        return any(
            project.startswith(name.removesuffix("*")) if name.endswith("*") else project == name
            for name in self.projects
        )


ANYBODY: Final = Caller()
"""Who is served where nobody is asked who he is."""

CALLER: Final[ContextVar[Caller]] = ContextVar("caller", default=ANYBODY)
"""The caller of the RPC that is served here, also in the tasks that it starts."""
