"""Implement `lookalike health`, which checks whether a server serves, for process supervisors."""

from typing import Annotated, Any

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.cli.common import EXIT_COULD_NOT_RUN, Timeout, console, print_failure, run
from lookalike.credentials import Credentials


def health(
    address: Annotated[str, typer.Argument(help="Address of the server, for example localhost:50051.")],
    service: Annotated[str, typer.Option(help="Full name of a service; by default the whole server.")] = "",
    timeout: Timeout = 3,
) -> None:
    """Check a server's health through grpc.health.v1.

    Exit codes: 0: the server is SERVING; 1: it is not; 2: it does not answer. The variable LOOKALIKE_TLS and the other
    TLS variables configure the connection. The command needs no token and sends none.
    """

    async def work() -> int:
        async with _channel(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)  # its types know only the synchronous stack
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout)
            except grpc.aio.AioRpcError as error:
                print_failure(f"{address}: {error.code().name}: {error.details()}")
                return EXIT_COULD_NOT_RUN
        console.print(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
        return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1

    run(work())


def _channel(address: str) -> grpc.aio.Channel:
    """Open a channel without retries, because a supervisor asks again anyway. Raises PreconditionError."""
    credentials = Credentials.from_env().for_channel()
    return grpc.aio.secure_channel(address, credentials) if credentials else grpc.aio.insecure_channel(address)
