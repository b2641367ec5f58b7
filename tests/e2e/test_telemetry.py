"""What the servers' processes say of themselves: their logs, and that they cannot send spans."""

import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from lookalike.processes import running
from lookalike.v1 import searcher_pb2 as wire
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub
from tests.data_dir import initialised


async def test_the_log_joins_with_the_caller_on_the_request_id(tmp_path: Path) -> None:
    arguments = ["--port", "0", "--data-dir", str(initialised(tmp_path / "data")), "--log-format", "json"]
    with (tmp_path / "log").open("wb") as log:
        async with (
            running("lookalike_searcher", arguments, log) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            request = wire.GetProjectRequest(name="nowhere")
            with pytest.raises(grpc.aio.AioRpcError):
                await SearcherServiceStub(channel).GetProject(request, metadata=[("x-request-id", "order-7")])
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    (mine,) = [line for line in lines if line.get("request_id") == "order-7"]
    assert mine["level"] == "INFO"
    assert mine["method"] == "lookalike.v1.SearcherService/GetProject"
    assert (mine["code"], mine["reason"]) == ("NOT_FOUND", "PROJECT_NOT_FOUND")
    assert mine["seconds"] > 0
    assert any("signalled" in line["message"] for line in lines)


@pytest.mark.parametrize("server", ["embedder", "searcher"])
def test_an_endpoint_for_spans_without_the_packages_is_a_clear_error(server: str, tmp_path: Path) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").touch()  # hides the real one
    done = subprocess.run(
        [sys.executable, "-m", f"lookalike_{server}"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"},
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"lookalike-{server}: OTEL_EXPORTER_OTLP_ENDPOINT is set, but opentelemetry.")
    assert "the extra `otel`" in done.stderr
    assert "Traceback" not in done.stderr
