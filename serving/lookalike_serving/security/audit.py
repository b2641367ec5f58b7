"""Write the audit log: each write and each refusal, never a token, a key or a vector."""

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lookalike_serving.errors import DomainError
    from lookalike_serving.security.caller import Caller

logger = logging.getLogger("lookalike.audit")

_COUNTS: Final[ContextVar[dict[str, int] | None]] = ContextVar("counts", default=None)


class Record:
    """The record collects what is known of one RPC. Create it in the task that serves the RPC.

    Attributes:
        caller: who made the RPC; None until the caller is known.
        projects: the names of the projects that the request names.
        counts: how many things the RPC changed, by name.
    """

    def __init__(self) -> None:
        self.caller: Caller | None = None
        self.projects: dict[str, None] = {}
        self.counts: dict[str, int] = {}
        _COUNTS.set(self.counts)

    def write(self, method: str, code: str, request_id: str, refusal: "DomainError | None") -> None:
        """Write one line to the audit log at the RPC's end."""
        fields: dict[str, object] = {
            "request_id": request_id,
            "method": method,
            "code": code,
            "subject": self.caller.subject if self.caller else "",
            "token_id": self.caller.token_id if self.caller else "",
            "projects": list(self.projects),
            "counts": self.counts,
        }
        if refusal:
            fields |= {"reason": refusal.reason, "cause": getattr(refusal, "cause", "")}
        shown = ", ".join(f"{name} {value!r}" for name, value in fields.items() if value and name != "request_id")
        logger.info("%s", shown, extra=fields)  # `repr` escapes line breaks, so that no value begins a line of its own


def event(name: str, project: str, **fields: str) -> None:
    """Write one line to the audit log about what a server did to a project by itself."""
    told: dict[str, object] = {"method": name, "code": "OK", "subject": "", "projects": [project], **fields}
    shown = ", ".join(f"{field} {value!r}" for field, value in told.items() if value)
    logger.info("%s", shown, extra=told)


def count(**numbers: int) -> None:
    """Add to the counts of the RPC that this task serves; outside of an RPC, do nothing."""
    counts = _COUNTS.get()
    if counts is not None:
        for name, number in numbers.items():
            counts[name] = counts.get(name, 0) + number
