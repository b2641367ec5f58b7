"""Ask the servers for one call of a method of the library, under one request id."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import TypeVar, cast

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from lookalike._transport.call_context import new_request_id
from lookalike._transport.channel import EMBEDDER, SEARCHER
from lookalike._transport.servers import Servers
from lookalike._transport.stream import not_closed
from lookalike.errors import (
    NOT_SERVING,
    QUOTA_EXCEEDED,
    DeadlineExceededError,
    LookalikeError,
    OverloadedError,
    closed,
    from_rpc,
)
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")


class Call:
    """Asks the servers on behalf of one call of the library's user.

    Attributes:
        request_id: is logged by the servers, and told by `LookalikeError.request_id`.
        timeout: seconds until a request gives up.
    """

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self.request_id = new_request_id()
        self.timeout = servers.timeout

    @property
    def embedder(self) -> EmbedderServiceStub:
        """Return the stub of the embedder's RPCs."""
        return EmbedderServiceStub(self._servers.channel(EMBEDDER))

    @property
    def searcher(self) -> SearcherServiceStub:
        """Return the stub of the searcher's RPCs."""
        return SearcherServiceStub(self._servers.channel(SEARCHER))

    def metadata(self, service: str) -> grpc.aio.Metadata:
        """Return what a request carries beside its message. Raises PreconditionError, see `Servers.metadata`."""
        return self._servers.metadata(service, self.request_id)

    async def serves(self, service: str) -> bool:
        """Ask the server whether it serves. Raises LookalikeError."""
        request = health_pb2.HealthCheckRequest(service=service)
        check: grpc.aio.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
        check = HealthStub(self._servers.channel(service)).Check  # type: ignore[attr-defined] # its types know only sync
        answer = await self._try(service, check, request, self.timeout)
        return answer.status == health_pb2.HealthCheckResponse.SERVING

    async def ask(
        self, service: str, method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]", request: Request
    ) -> Response:
        """Send a request and return the response.

        A server that does not serve just now is waited for, see `Outage`, and so is one that is overloaded and says for
        how long, see `RetryBudget`. Who exceeds a quota is told at once. Raises LookalikeError.
        """
        outage, retry_budget = self._servers.outage(service), self._servers.retry_budget(service)
        began, attempts = time.monotonic(), 0
        while True:
            remaining = began + self.timeout - time.monotonic()
            try:
                response = await self._try(service, method, request, remaining)
            except LookalikeError as error:
                attempts += 1
                if error.reason == NOT_SERVING:
                    await outage.wait(error, attempts, began, self.timeout)
                    continue
                outage.end()
                if not isinstance(error, OverloadedError) or error.reason.endswith(QUOTA_EXCEEDED):
                    raise
                await retry_budget.wait(error, attempts, began, self.timeout)
            else:
                outage.end()
                retry_budget.succeeded()
                return response

    async def _try(
        self,
        service: str,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        timeout: float,
    ) -> Response:
        try:
            return await not_closed(method, request, timeout=timeout, metadata=self.metadata(service))
        except grpc.aio.AioRpcError as error:
            raise self._failure(service, error) from error

    async def listen(
        self,
        service: str,
        method: "grpc.aio.UnaryStreamMultiCallable[Request, Response]",
        request: Request,
        *,
        silence: float,
    ) -> AsyncGenerator[Response, None]:
        """Send a request and yield its responses, at most `silence` seconds apart. Raises LookalikeError."""
        try:
            stream = method(request, metadata=self.metadata(service))
        except grpc.aio.UsageError as error:
            raise closed() from error
        try:
            while True:
                async with asyncio.timeout(silence):
                    response = await not_closed(stream.read)
                if response is grpc.aio.EOF:
                    return
                yield cast("Response", response)
        except grpc.aio.AioRpcError as error:
            raise self._failure(service, error) from error
        except TimeoutError as error:
            message = f"{self._servers.name(service)}: no answer for {silence:g} s"
            code = grpc.StatusCode.DEADLINE_EXCEEDED
            raise DeadlineExceededError(message, code=code, request_id=self.request_id) from error
        finally:
            stream.cancel()

    def _failure(self, service: str, error: grpc.aio.AioRpcError) -> LookalikeError:
        failure = from_rpc(error, self._servers.name(service))
        failure.request_id = failure.request_id or self.request_id
        return failure
