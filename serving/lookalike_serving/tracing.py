"""OpenTelemetry spans of what we serve, where the environment names an OTLP endpoint; nothing, and free, where not.

A caller's `traceparent` is taken over. The client library hands it on, see `lookalike._transport.call_context`.

Needs the extra `otel` only then. OpenTelemetry's own plugin for asyncio servers is not used: it can freeze the event
loop (grpc#43079).
"""

import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import grpc

from lookalike._transport.call_context import SPAN

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_FLUSH_SECONDS: Final = 3.0
"""How long the end waits for the last spans to be sent. Where the collector is away they are lost."""
_FAULTS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""What counts as an error of the server, by OpenTelemetry's conventions; anything else is the caller's affair."""
_COMMENTS: Final = re.compile(r"(\s*--.*\n)*\s*")
"""What may stand before a statement's first word."""

_tracer: "Tracer | None" = None
_request_id: Final[ContextVar[str]] = ContextVar("request_id_of_span", default="")


@contextmanager
def exporting(service_name: str) -> Iterator[None]:
    """Send the spans of the block's RPCs, and at its end, for a few seconds at most, those that are left.

    Args:
        service_name: ours, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say otherwise.

    Raises:
        RuntimeError: an endpoint is named, but the extra `otel` is not installed.
    """
    global _tracer  # of the process, as its log is
    endpoint = next((name for name in _ENDPOINTS if os.environ.get(name)), None)
    if endpoint is None:
        yield
        return
    try:
        provider = _provider(service_name)
    except ImportError as error:
        raise RuntimeError(
            f"{endpoint} is set, but {error.name} is not installed: install lookalike with the extra `otel`, for"
            " example, in a checkout, pip install '.[otel]', or unset it"
        ) from error
    _tracer = provider.get_tracer("lookalike")
    try:
        yield
    finally:
        _tracer = None
        # A thread that nobody waits for: the exporter itself tries for longer than we may take.
        flush = threading.Thread(target=provider.shutdown, name="spans", daemon=True)
        flush.start()
        flush.join(_FLUSH_SECONDS)


def is_on() -> bool:
    """Whether spans are sent."""
    return _tracer is not None


def begin(
    name: str, metadata: Iterable[tuple[str, str | bytes]], request_id: str, attributes: Mapping[str, str]
) -> "Span | None":
    """The span of a request that begins in this task, below the caller's `traceparent`; None where none are sent."""
    if _tracer is None:
        return None
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {name: value for name, value in metadata if isinstance(value, str)}
    span = _tracer.start_span(
        name,
        TraceContextTextMapPropagator().extract(carrier),
        SpanKind.SERVER,
        {**attributes, "lookalike.request_id": request_id},
    )
    SPAN.set(span)
    _request_id.set(request_id)
    return span


def begin_rpc(method: str, metadata: Iterable[tuple[str, str | bytes]], request_id: str) -> "Span | None":
    """The span of an RPC, as `begin`."""
    service, _, name = method.partition("/")
    return begin(method, metadata, request_id, {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name})


def end_rpc(span: "Span", code: grpc.StatusCode) -> None:
    """The span's RPC has ended."""
    end(span, "rpc.grpc.status_code", code.value[0], fault=code in _FAULTS)


def end(span: "Span", attribute: str, status: int, *, fault: bool) -> None:
    """The span's request has ended, with that status; a fault is the server's."""
    from opentelemetry.trace import StatusCode

    span.set_attribute(attribute, status)
    if fault:
        span.set_status(StatusCode.ERROR)
    span.end()


def statement(sql: str, seconds: float, *, failed: bool) -> None:
    """Draw a statement that has just ended as a child span of this task's request. Values are no part of its text."""
    span = SPAN.get()
    if _tracer is None or span is None:
        return
    from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

    ended = time.time_ns()
    drawn = _tracer.start_span(
        f"SQL {_COMMENTS.sub('', sql, count=1).split(None, 1)[0]}",
        set_span_in_context(span),
        SpanKind.CLIENT,
        {"db.system.name": "postgresql", "db.query.text": sql, "lookalike.request_id": _request_id.get()},
        start_time=ended - _nanoseconds(seconds),
    )
    if failed:
        drawn.set_status(StatusCode.ERROR)
    drawn.end(ended)


def stages(**seconds: float) -> None:
    """Draw what this task's request did until now as child spans, one after the other, each as long as is said."""
    span = SPAN.get()
    if _tracer is None or span is None:
        return
    from opentelemetry.trace import set_span_in_context

    parent = set_span_in_context(span)
    moment = time.time_ns() - sum(_nanoseconds(length) for length in seconds.values())
    for name, length in seconds.items():
        if length:  # else it did not happen
            stage = _tracer.start_span(name, parent, start_time=moment)
            moment += _nanoseconds(length)
            stage.end(moment)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _provider(service_name: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": service_name}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
