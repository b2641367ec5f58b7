"""`lookalike health` over real sockets: for watchers that know exit codes and not gRPC."""

from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc

from lookalike_serving.health import Health
from tests.command_line import CommandLine, Done

SERVICE = "lookalike.v1.SearcherService"


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
    health: Health, address: str, commands: CommandLine, serving: bool, code: int, told: str
) -> None:
    health.tell(serving=serving)
    assert await commands.ask("health", address) == Done(code, told, "")


async def test_a_service_that_it_does_not_have_is_no_health(address: str, commands: CommandLine) -> None:
    done = await commands.ask("health", address, "--service", "lookalike.v1.Nothing")
    assert done.code == 2
    assert "NOT_FOUND: unknown service 'lookalike.v1.Nothing'" in done.errors


async def test_a_server_that_is_not_there_does_not_answer(commands: CommandLine) -> None:
    done = await commands.ask("health", "127.0.0.1:1")
    assert done.code == 2
    assert "127.0.0.1:1: UNAVAILABLE" in done.errors
