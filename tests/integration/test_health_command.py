"""`lookalike health` over real sockets: for watchers that know exit codes and not gRPC."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc

from lookalike_serving.health import Health

SERVICE = "lookalike.v1.SearcherService"


async def ask(*arguments: str) -> tuple[int | None, str, str]:
    """The exit code and what is told."""
    command = (str(Path(sys.executable).with_name("lookalike")), "health", *arguments)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    stdout, stderr = await process.communicate()
    return process.returncode, stdout.decode(), stderr.decode()


@pytest.fixture(scope="module")
def health() -> Health:
    return Health(SERVICE)


@pytest.fixture(scope="module")
async def address(health: Health) -> AsyncIterator[str]:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.mark.parametrize(("serving", "code", "told"), [(True, 0, "SERVING\n"), (False, 1, "NOT_SERVING\n")])
async def test_the_exit_code_says_whether_it_serves(
    health: Health, address: str, serving: bool, code: int, told: str
) -> None:
    health.tell(serving=serving)
    assert await ask(address) == (code, told, "")


async def test_a_service_that_it_does_not_have_is_no_health(address: str) -> None:
    code, _, stderr = await ask(address, "--service", "lookalike.v1.Nothing")
    assert code == 2
    assert "NOT_FOUND: unknown service 'lookalike.v1.Nothing'" in stderr


async def test_a_server_that_is_not_there_does_not_answer() -> None:
    code, _, stderr = await ask("127.0.0.1:1")
    assert code == 2
    assert "127.0.0.1:1: UNAVAILABLE" in stderr
