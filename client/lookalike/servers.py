"""The two servers as the client sees them: one channel each, one way to call, and an id by which calls are found."""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from functools import cached_property
from typing import Final, TypeVar, cast

import grpc

from lookalike import tracing
from lookalike.channel import EMBEDDER, SEARCHER, open_channel
from lookalike.errors import DeadlineExceededError, LookalikeError, closed, from_rpc
from lookalike.request import REQUEST_ID
from lookalike.resume import not_closed
from lookalike.v1.embedder_pb2_grpc import EmbedderServiceStub
from lookalike.v1.searcher_pb2_grpc import SearcherServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")

_NAMES: Final = {EMBEDDER: "embedder", SEARCHER: "searcher"}


def new_request_id() -> str:
    """An id for the servers' logs: all that one call of the library's user sends bears the same.

    A program that serves requests itself passes on the id of the one that it is at.
    """
    return REQUEST_ID.get() or uuid.uuid4().hex


def metadata(request_id: str) -> grpc.aio.Metadata:
    """What a call carries beside its message."""
    return grpc.aio.Metadata(("x-request-id", request_id), *tracing.carried().items())


class Servers:
    """Opens a channel on first use: it belongs to the event loop that runs then.

    Args:
        embedder: the embedder's address.
        searcher: the searcher's address.
        timeout: seconds until a call gives up.
    """

    def __init__(self, embedder: str, searcher: str, timeout: float) -> None:
        self._addresses = {EMBEDDER: embedder, SEARCHER: searcher}
        self._channels: dict[str, grpc.aio.Channel] = {}
        self.timeout = timeout

    @cached_property
    def embedder(self) -> EmbedderServiceStub:
        """The embedder's RPCs."""
        return EmbedderServiceStub(self._channel(EMBEDDER))

    @cached_property
    def searcher(self) -> SearcherServiceStub:
        """The searcher's RPCs."""
        return SearcherServiceStub(self._channel(SEARCHER))

    async def ask(
        self,
        service: str,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        request_id: str,
    ) -> Response:
        """Make a call. Raises LookalikeError."""
        try:
            return await not_closed(method, request, timeout=self.timeout, metadata=metadata(request_id))
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
            call = method(request, metadata=metadata(request_id))
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
        """Close the channels; what is in flight is cancelled."""
        for channel in self._channels.values():
            await channel.close()

    def _failure(self, service: str, error: grpc.aio.AioRpcError, request_id: str) -> LookalikeError:
        failure = from_rpc(error, self._name(service))
        failure.request_id = failure.request_id or request_id
        return failure

    def _name(self, service: str) -> str:
        return f"the {_NAMES[service]} at {self._addresses[service]}"

    def _channel(self, service: str) -> grpc.aio.Channel:
        self._channels[service] = open_channel(self._addresses[service], service)
        return self._channels[service]
