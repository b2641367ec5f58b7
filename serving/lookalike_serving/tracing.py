"""Send OpenTelemetry spans of what we serve, if the environment names an OTLP endpoint. Otherwise, do nothing.

A caller's `traceparent` is continued. The client library hands it on, see `lookalike._transport.call_context`.

Only sending needs the extra `otel`. OpenTelemetry's own plugin for asyncio servers is not used: it can freeze the event
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
"""At the end, we wait so long for the last spans to be sent. If the collector cannot be reached, they are lost."""
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
"""These codes are errors of the server, by OpenTelemetry's conventions. Others are errors of the caller."""
_COMMENTS: Final = re.compile(r"(\s*--.*\n)*\s*")
"""Comments and blanks may stand before a statement's first word."""

_tracer: "Tracer | None" = None
_request_id: Final[ContextVar[str]] = ContextVar("request_id_of_span", default="")


@contextmanager
def exporting(service_name: str) -> Iterator[None]:
    """Send the spans of the block's RPCs. The end waits a few seconds at most for the last ones.

    service_name: our name, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES give another one.
        service_name: ours, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say otherwise.

    Raises:
        RuntimeError: an endpoint is named, but the extra `otel` is not installed.
    """
    global _tracer  # one for the process, like its log
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
        # No code waits for this thread: the exporter retries for longer than our shutdown may take.
        flush = threading.Thread(target=provider.shutdown, name="spans", daemon=True)
        flush.start()
        flush.join(_FLUSH_SECONDS)


def is_on() -> bool:
    """Return whether spans are being sent."""
    return _tracer is not None


def begin(
    name: str, metadata: Iterable[tuple[str, str | bytes]], request_id: str, attributes: Mapping[str, str]
) -> "Span | None":
    """Return the span of a request that begins in this task, as a child of the caller's; None if none are sent."""
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
    """Return the span of an RPC; see `begin`."""
    service, _, name = method.partition("/")
    return begin(method, metadata, request_id, {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name})


def end_rpc(span: "Span", code: grpc.StatusCode) -> None:
    """End the span of an RPC, with the RPC's status code."""
    end(span, "rpc.grpc.status_code", code.value[0], fault=code in _FAULTS)


def end(span: "Span", attribute: str, status: int, *, fault: bool) -> None:
    """End the span of a request.

    Args:
        span: the span, as from `begin`.
        attribute: the name of the attribute that holds the status.
        status: the request's status.
        fault: whether the server is at fault.
    """
    from opentelemetry.trace import StatusCode

    span.set_attribute(attribute, status)
    if fault:
        span.set_status(StatusCode.ERROR)
    span.end()


def statement(sql: str, seconds: float, *, failed: bool) -> None:
    """Record a statement that has just ended as a child span of this task's request. Its values are not recorded."""
    span = SPAN.get()
    if _tracer is None or span is None:
        return
    from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

    ended = time.time_ns()
    child = _tracer.start_span(
        f"SQL {_COMMENTS.sub('', sql, count=1).split(None, 1)[0]}",
        set_span_in_context(span),
        SpanKind.CLIENT,
        {"db.system.name": "postgresql", "db.query.text": sql, "lookalike.request_id": _request_id.get()},
        start_time=ended - _nanoseconds(seconds),
    )
    if failed:
        child.set_status(StatusCode.ERROR)
    child.end(ended)


def stages(**seconds: float) -> None:
    """Record the stages of this task's request as child spans that end now and follow one another.

    Args:
        seconds: how long each stage took, by its name; a stage of 0 seconds is left out.
    """
    span = SPAN.get()
    if _tracer is None or span is None:
        return
    from opentelemetry.trace import set_span_in_context

    parent = set_span_in_context(span)
    moment = time.time_ns() - sum(_nanoseconds(length) for length in seconds.values())
    for name, length in seconds.items():
        if length:  # otherwise there was no such stage
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
