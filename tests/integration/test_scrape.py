"""The port that metrics are read from is bounded like every HTTP port of ours."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from lookalike_serving.metrics_endpoint import LIMITS, metrics_served
from tests.connections import until_gone
from tests.memory import python_memory

MIB = 1024 * 1024


@pytest.fixture
def port() -> Iterator[int]:
    registry = CollectorRegistry()
    Counter("things", "Things.", ["kind"], registry=registry).labels("odd").inc()
    with metrics_served(("127.0.0.1", 0), registry, replace(LIMITS, message_seconds=0.3, linger_seconds=0.3)) as port:
        yield port


def read(port: int, path: str = "/metrics", **headers: bytes) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=60)


def test_metrics_are_read_whatever_else_is_said(port: int) -> None:
    for path, headers in (("/metrics", {}), ("/", {"accept": b"\xff"}), ("/metrics?name[]=things_total", {})):
        answer = read(port, path, **headers)
        assert answer.status_code == 200
        assert 'things_total{kind="odd"} 1.0' in answer.text


async def test_heads_are_bounded_and_nobody_keeps_a_connection(port: int) -> None:
    """Nor does anybody make a thread, or as many connections as he likes."""
    threads = threading.active_count()
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
    assert threading.active_count() < threads + 50
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = asyncio.create_task(until_gone(reader))
    piece = b"X-Header: some value\r\n" * (MIB // 22)
    with python_memory() as taken:
        with suppress(ConnectionError):
            writer.write(b"GET /metrics HTTP/1.1\r\n")
            for _ in range(32):
                writer.write(piece)
                await writer.drain()
        async with asyncio.timeout(120):
            assert (await heard).startswith(b"HTTP/1.1 431 ")
        assert taken() < 8 * MIB
    async with asyncio.timeout(120):
        assert (await asyncio.to_thread(read, port)).status_code == 200
        for reader, _ in silent:
            assert await reader.read() == b""
    for _, silent_writer in silent:
        silent_writer.close()
    writer.close()
