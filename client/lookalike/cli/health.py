"""`lookalike health`: whether a server serves, for whoever watches over processes."""

from typing import Annotated, Any

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.cli.common import EXIT_COULD_NOT_RUN, Timeout, console, run, tell_failure
from lookalike.credentials import Credentials


def health(
    address: Annotated[str, typer.Argument(help="The server's, for example localhost:50051.")],
    service: Annotated[str, typer.Option(help="Full name of a service; left out, the whole server.")] = "",
    timeout: Timeout = 3,
) -> None:
    """Ask a server by grpc.health.v1 how it is: exit with 0 if it is SERVING, 1 if not, 2 if it does not answer.

    LOOKALIKE_TLS and its kin say how it is reached; a token is not needed, and not sent.
    """

    async def work() -> int:
        async with _channel(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)  # whose types know only the sync stack
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout)
            except grpc.aio.AioRpcError as error:
                tell_failure(f"{address}: {error.code().name}: {error.details()}")
                return EXIT_COULD_NOT_RUN
        console.print(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
        return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1

    run(work())


def _channel(address: str) -> grpc.aio.Channel:
    """One without retries: whoever watches asks again anyway. Raises PreconditionError."""
    credentials = Credentials.from_env().for_channel()
    return grpc.aio.secure_channel(address, credentials) if credentials else grpc.aio.insecure_channel(address)
