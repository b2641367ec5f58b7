"""Spans, as an OpenTelemetry collector receives them."""

import io
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider

from lookalike import Client
from lookalike.v1 import embedder_pb2 as wire
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub
from lookalike_gateway.config import Config as FaceConfig
from lookalike_gateway.server import serving as gateway
from lookalike_searcher.config import Config
from lookalike_searcher.database import pool
from lookalike_searcher.server import serving as searching
from lookalike_serving import logs, tracing
from lookalike_serving.server import Server
from tests.pictures import jpeg

SERVICE = "lookalike.v1.EmbedderService"
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
METADATA = (("traceparent", f"00-{TRACE}-{CALLER}-01"), ("x-request-id", "order-7"))


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what it is sent; answers while `open`."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.spans: dict[str, Span] = {}
        self.statements: list[Span] = []
        self.services: set[str] = set()

    def Export(  # noqa: N802 - the wire's name
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        self.open.wait()
        for resource in request.resource_spans:
            attributes = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            self.services.add(attributes["service.name"])
            for scope in resource.scope_spans:
                self.statements += [span for span in scope.spans if span.name.startswith("SQL ")]
                others = [span for span in scope.spans if not span.name.startswith("SQL ")]
                assert not self.spans.keys() & {span.name for span in others}
                self.spans |= {span.name: span for span in others}
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    servicer = Collector()
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        server.start()
        yield servicer
        servicer.open.set()
        server.stop(None).wait()


@pytest.fixture(scope="module")
def stub(embedder_channel: grpc.aio.Channel) -> EmbedderServiceStub:
    return EmbedderServiceStub(embedder_channel)


def attributes(span: Span) -> Mapping[str, str | int]:
    values = {pair.key: pair.value for pair in span.attributes}
    return {name: getattr(value, value.WhichOneof("value") or "") for name, value in values.items()}


async def test_an_embed_is_a_span_of_the_callers_trace_and_its_stages_are_below(
    collector: Collector, stub: EmbedderServiceStub
) -> None:
    with tracing.exporting("lookalike-embedder"):
        answer = await stub.Embed(wire.EmbedRequest(image=jpeg(colour="plum")), metadata=METADATA)
    assert collector.services == {"lookalike-embedder"}
    span = collector.spans.pop(f"{SERVICE}/Embed")
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == CALLER
    assert span.kind == Span.SPAN_KIND_SERVER
    assert attributes(span) == {
        "rpc.system": "grpc",
        "rpc.service": SERVICE,
        "rpc.method": "Embed",
        "rpc.grpc.status_code": 0,
        "lookalike.request_id": "order-7",
    }
    stages = sorted(collector.spans.values(), key=lambda stage: stage.start_time_unix_nano)
    assert [stage.name for stage in stages] == ["decode", "queue", "compute"]
    assert {stage.parent_span_id for stage in stages} == {span.span_id}
    assert {stage.trace_id for stage in stages} == {span.trace_id}
    lengths = [(stage.end_time_unix_nano - stage.start_time_unix_nano) / 1000 for stage in stages]
    timings = answer.timings
    told = [timings.decode_microseconds, timings.queue_microseconds, timings.compute_microseconds]
    assert lengths == pytest.approx(told, abs=1)
    assert [stage.end_time_unix_nano for stage in stages[:2]] == [stage.start_time_unix_nano for stage in stages[1:]]


async def test_what_is_known_already_was_not_computed(
    collector: Collector, stub: EmbedderServiceStub, photos: list[Path]
) -> None:
    request = wire.EmbedRequest(image=photos[0].read_bytes())
    await stub.Embed(request)
    with tracing.exporting("lookalike-embedder"):
        await stub.Embed(request)
    assert "compute" not in collector.spans


async def test_a_stream_is_one_span(collector: Collector, stub: EmbedderServiceStub) -> None:
    requests = [wire.EmbedStreamRequest(sequence=number, image=jpeg(number)) for number in (10, 20)]
    with tracing.exporting("lookalike-embedder"):
        answers = [answer async for answer in stub.EmbedStream(requests, metadata=METADATA)]
    assert [answer.HasField("embedding") for answer in answers] == [True, True]
    assert list(collector.spans) == [f"{SERVICE}/EmbedStream"]


async def test_a_refusal_has_its_code_and_is_no_fault_of_the_server(
    collector: Collector, stub: EmbedderServiceStub
) -> None:
    with tracing.exporting("lookalike-embedder"), pytest.raises(grpc.aio.AioRpcError):
        await stub.Embed(wire.EmbedRequest())
    (span,) = collector.spans.values()
    assert attributes(span)["rpc.grpc.status_code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert not span.parent_span_id


async def test_the_environment_names_the_service(
    collector: Collector, stub: EmbedderServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop-embedder")
    with tracing.exporting("lookalike-embedder"):
        await stub.GetModel(wire.GetModelRequest())
    assert collector.services == {"shop-embedder"}


async def test_a_collector_that_hangs_does_not_keep_the_server_from_ending(
    collector: Collector, stub: EmbedderServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_FLUSH_SECONDS", 0.1)
    collector.open.clear()
    with tracing.exporting("lookalike-embedder"):
        await stub.GetModel(wire.GetModelRequest())
    (waiting,) = [thread for thread in threading.enumerate() if thread.name == "spans"]
    assert waiting.daemon
    collector.open.set()
    waiting.join()


def test_without_an_endpoint_there_are_no_spans() -> None:
    with tracing.exporting("lookalike-embedder"):
        assert tracing.begin_rpc(f"{SERVICE}/Embed", METADATA, "order-7") is None
        assert not tracing.is_on()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged, as collectors get it."""
    kept = io.StringIO()
    handler = logging.StreamHandler(kept)
    handler.setFormatter(logs.formatter("json"))
    handler.addFilter(logs.identify)
    rooms = ("lookalike_serving", "lookalike_searcher", "lookalike_gateway")
    ours = [logging.getLogger(name) for name in rooms]
    for logger in ours:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield kept
    for logger in ours:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


async def test_one_trace_and_one_id_lead_from_a_program_through_the_face_to_both_servers_and_sql(
    collector: Collector, embedder: Server, database_url: str, log: io.StringIO
) -> None:
    config = Config(data_dir=Path("unused"), port=0, slow_query_seconds=0, maintenance_interval=3600)
    with tracing.exporting("lookalike"):
        async with (
            pool.connect(database_url, pool_size=2, command_timeout=30) as own,
            searching(config, own) as searcher,
            Client(f"127.0.0.1:{embedder.port}", f"127.0.0.1:{searcher.port}") as client,
            gateway(
                FaceConfig(embedder=f"127.0.0.1:{embedder.port}", searcher=f"127.0.0.1:{searcher.port}", port=0)
            ) as address,
            httpx.AsyncClient(base_url=address, timeout=60) as http,
        ):
            await client.create_project("traced")
            answer = await http.post(
                "/v1/projects/traced/image-search",
                content=jpeg(colour="plum"),
                headers={"Content-Type": "image/jpeg", **dict(METADATA)},
            )
            assert answer.status_code == 200, answer.text
            await client.delete_project("traced")
    face_span, embed, search = (
        collector.spans[name] for name in ("HTTP POST", f"{SERVICE}/Embed", "lookalike.v1.SearcherService/Search")
    )
    assert {span.trace_id.hex() for span in (face_span, embed, search)} == {TRACE}
    assert face_span.parent_span_id.hex() == CALLER
    assert embed.parent_span_id == search.parent_span_id == face_span.span_id
    statements = [span for span in collector.statements if span.parent_span_id == search.span_id]
    assert {span.name for span in statements} == {"SQL BEGIN", "SQL SELECT", "SQL WITH", "SQL EXPLAIN", "SQL COMMIT"}
    assert all(attributes(span)["lookalike.request_id"] == "order-7" for span in statements)
    assert all(span.end_time_unix_nano > span.start_time_unix_nano for span in statements)
    lines = [line for line in map(json.loads, log.getvalue().splitlines()) if line.get("request_id") == "order-7"]
    assert {line.get("method") for line in lines} >= {"POST", f"{SERVICE}/Embed", "lookalike.v1.SearcherService/Search"}
    assert any("slow search" in line["message"] for line in lines)


async def test_the_library_hands_on_the_span_of_the_program_that_uses_it(
    collector: Collector, embedder: Server
) -> None:
    with tracing.exporting("lookalike-embedder"):
        async with Client(f"127.0.0.1:{embedder.port}") as client:
            with TracerProvider().get_tracer("shop").start_as_current_span("order") as span:
                await client.model()
    assert collector.spans[f"{SERVICE}/GetModel"].parent_span_id.hex() == f"{span.get_span_context().span_id:016x}"
