"""Carry a request id, the caller's token and the current span beside a call's message.

A program that serves requests itself sets these for each of them, and so passes on what its own callers sent.
"""

import sys
import uuid
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.trace import Span

REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="")
"""The id of the request that is served here, also in the tasks that it starts; empty outside of one."""

TOKEN: Final[ContextVar[str]] = ContextVar("token", default="")
"""The bearer token of the caller that is served here. It comes before a token of our own."""

SPAN: Final[ContextVar["Span | None"]] = ContextVar("span", default=None)
"""The OpenTelemetry span of the request that is served here; None where no spans are sent."""


def new_request_id() -> str:
    """Make an id for the servers' logs. All that one call of the library's user sends bears the same."""
    return REQUEST_ID.get() or uuid.uuid4().hex


def trace_headers() -> dict[str, str]:
    """Make the headers that tell a server of the current span: ours, or that of the program that uses the library."""
    if "opentelemetry.trace" not in sys.modules:  # nobody makes spans
        return {}
    from opentelemetry.trace import set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    span = SPAN.get()
    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers, set_span_in_context(span) if span else None)
    return headers
