"""The two servers as the client sees them: one channel each, one way to call, and an id by which calls are found."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Final, TypeVar, cast
from weakref import WeakKeyDictionary

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from lookalike._transport.call_context import TOKEN, new_request_id, trace_headers
from lookalike._transport.channel import EMBEDDER, SEARCHER, open_channel
from lookalike._transport.loopback import stays_here
from lookalike._transport.retry import Outage
from lookalike._transport.stream import not_closed
from lookalike.credentials import Credentials, unusable
from lookalike.errors import NOT_SERVING, DeadlineExceededError, LookalikeError, closed, from_rpc
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")

_NAMES: Final = {EMBEDDER: "embedder", SEARCHER: "searcher"}


class Servers:
    """Opens a channel on first use, one for each event loop: a channel belongs to the loop that it was opened on.

    So a client at the module level outlives `asyncio.run`, and can be used by the next one.

    Args:
        embedder: the embedder's address.
        searcher: the searcher's address.
        timeout: seconds until a call gives up.
        credentials: how they are reached.
    """

    def __init__(self, embedder: str, searcher: str, timeout: float, credentials: Credentials) -> None:
        self._credentials = credentials
        self._addresses = {EMBEDDER: embedder, SEARCHER: searcher}
        self._channels: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, grpc.aio.Channel]] = WeakKeyDictionary()
        self._outages = {service: Outage() for service in self._addresses}
        self.timeout = timeout

    @property
    def embedder(self) -> EmbedderServiceStub:
        """The embedder's RPCs."""
        return EmbedderServiceStub(self._channel(EMBEDDER))

    @property
    def searcher(self) -> SearcherServiceStub:
        """The searcher's RPCs."""
        return SearcherServiceStub(self._channel(SEARCHER))

    def metadata(self, service: str, request_id: str) -> grpc.aio.Metadata:
        """What a call carries beside its message.

        Raises:
            PreconditionError: there is a token that cannot be read, or that everybody on its way could.
        """
        carried = grpc.aio.Metadata(("x-request-id", request_id), *trace_headers().items())
        if token := TOKEN.get() or self._credentials.bearer():
            private = self._credentials.encrypted or self._credentials.plaintext_token
            if not private and not stays_here(self._addresses[service]):
                raise unusable(
                    f"a token is not sent to {self._name(service)} unencrypted: set LOOKALIKE_TLS or LOOKALIKE_TLS_CA,"
                    " or LOOKALIKE_PLAINTEXT_TOKEN where something else encrypts"
                )
            carried.add("authorization", f"Bearer {token}")
        return carried

    async def serves(self, service: str) -> bool:
        """Whether the server says that it serves. Raises LookalikeError."""
        request = health_pb2.HealthCheckRequest(service=service)
        channel = self._channel(service)
        check: grpc.aio.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
        check = HealthStub(channel).Check  # type: ignore[attr-defined] # its types know only the sync stack
        answer = await self._try(service, check, request, new_request_id(), self.timeout)
        return answer.status == health_pb2.HealthCheckResponse.SERVING

    async def ask(
        self,
        service: str,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        request_id: str,
    ) -> Response:
        """Make a call. Where the server does not serve just now, wait for it, see `Outage`. Raises LookalikeError."""
        outage, began, attempts = self._outages[service], time.monotonic(), 0
        while True:
            remaining = began + self.timeout - time.monotonic()
            try:
                answer = await self._try(service, method, request, request_id, remaining)
            except LookalikeError as error:
                if error.reason != NOT_SERVING:
                    outage.end()
                    raise
                attempts += 1
                await outage.wait(error, attempts, began, self.timeout)
            else:
                outage.end()
                return answer

    async def _try(
        self,
        service: str,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        request_id: str,
        timeout: float,
    ) -> Response:
        try:
            return await not_closed(method, request, timeout=timeout, metadata=self.metadata(service, request_id))
        except grpc.aio.AioRpcError as error:
            raise self._failure(service, error, request_id) from error

    async def listen(
        self,
        service: str,
        method: "grpc.aio.UnaryStreamMultiCallable[Request, Response]",
        request: Request,
        request_id: str,
        *,
        silence: float,
    ) -> AsyncGenerator[Response, None]:
        """Make a call with many answers, at most `silence` seconds apart, and yield them. Raises LookalikeError."""
        try:
            call = method(request, metadata=self.metadata(service, request_id))
        except grpc.aio.UsageError as error:
            raise closed() from error
        try:
            while True:
                async with asyncio.timeout(silence):
                    answer = await not_closed(call.read)
                if answer is grpc.aio.EOF:
                    return
                yield cast("Response", answer)
        except grpc.aio.AioRpcError as error:
            raise self._failure(service, error, request_id) from error
        except TimeoutError as error:
            message = f"{self._name(service)}: no answer for {silence:g} s"
            code = grpc.StatusCode.DEADLINE_EXCEEDED
            raise DeadlineExceededError(message, code=code, request_id=request_id) from error
        finally:
            call.cancel()

    async def close(self) -> None:
        """Close this event loop's channels; what is in flight is cancelled."""
        for channel in self._of_this_loop().values():
            await channel.close()

    def _failure(self, service: str, error: grpc.aio.AioRpcError, request_id: str) -> LookalikeError:
        failure = from_rpc(error, self._name(service))
        failure.request_id = failure.request_id or request_id
        return failure

    def _name(self, service: str) -> str:
        return f"the {_NAMES[service]} at {self._addresses[service]}"

    def _channel(self, service: str) -> grpc.aio.Channel:
        channels = self._of_this_loop()
        if service not in channels:
            channels[service] = open_channel(self._addresses[service], service, self._credentials.for_channel())
        return channels[service]

    def _of_this_loop(self) -> dict[str, grpc.aio.Channel]:
        return self._channels.setdefault(asyncio.get_running_loop(), {})
