"""How our servers refuse: a domain error becomes a `google.rpc.Status` with details, or an `ItemError` in a stream.

Domain code raises `DomainError`s and knows nothing of gRPC; each server has one table from its errors to status codes;
`ErrorInterceptor` applies it to whole RPCs and `StatusTable.item_error` to single items of a stream.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from lookalike.v1.common_pb2 import ItemError
from lookalike.wire import ERROR_DOMAIN

logger = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]


class DomainError(Exception):
    """A refusal with a stable reason, a sentence that names field, limit and value, and the values by name."""

    def __init__(self, reason: str, message: str, **metadata: object) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = {name: str(value) for name, value in metadata.items()}

    def details(self) -> Iterable[Message]:
        """Further `google.rpc` details beside ErrorInfo; none by default."""
        return ()


class ShuttingDown(DomainError):
    """The server takes no new work; another one will."""

    def __init__(self) -> None:
        super().__init__("SHUTTING_DOWN", "this server is shutting down; send the request again to reach another one")


class InternalError(DomainError):
    """Something failed that is not the caller's fault. The log has the cause; the answer does not."""

    def __init__(self) -> None:
        super().__init__("INTERNAL", "the server failed on this request; its log has the cause")


class StatusTable:
    """One server's table from domain errors to gRPC status codes."""

    def __init__(self, codes: Mapping[type[DomainError], grpc.StatusCode]) -> None:
        self._codes: dict[type, grpc.StatusCode] = {
            ShuttingDown: grpc.StatusCode.UNAVAILABLE,
            InternalError: grpc.StatusCode.INTERNAL,
            **codes,
        }

    def code(self, error: DomainError) -> grpc.StatusCode:
        """The status code of a domain error."""
        return self._codes[type(error)]

    def item_error(self, error: DomainError) -> ItemError:
        """The error as the failure of one item of a stream."""
        return ItemError(
            code=self.code(error).value[0], reason=error.reason, message=error.message, metadata=error.metadata
        )

    def status(self, error: DomainError) -> status_pb2.Status:
        """The error as the failure of a whole RPC."""
        info = error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata)
        status = status_pb2.Status(code=self.code(error).value[0], message=error.message)
        for detail in (info, *error.details()):
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return status


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Ends an RPC that raised a `DomainError` with its status; any other exception is logged and becomes INTERNAL."""

    def __init__(self, table: StatusTable) -> None:
        self._table = table

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401 - None for an unknown method, which gRPC's types forget
        """Wrap the two kinds of handler that our services have."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:  # no such method: gRPC answers UNIMPLEMENTED itself
            return None
        serializers = (handler.request_deserializer, handler.response_serializer)
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._unary(handler.unary_unary), *serializers)
        if handler.stream_stream:
            return grpc.stream_stream_rpc_method_handler(self._stream(handler.stream_stream), *serializers)
        return handler

    def _unary(self, method: Callable[[Any, Context], Awaitable[Any]]) -> Any:  # noqa: ANN401 - gRPC's own type
        async def answer(request: Any, context: Context) -> Any:  # noqa: ANN401
            try:
                return await method(request, context)
            except Exception as error:
                await self._abort(context, error)

        return answer

    def _stream(self, method: Callable[[Any, Context], AsyncIterator[Any]]) -> Any:  # noqa: ANN401
        async def answer(requests: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401
            try:
                async for response in method(requests, context):
                    yield response
            except Exception as error:
                await self._abort(context, error)

        return answer

    async def _abort(self, context: Context, error: Exception) -> None:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if not isinstance(error, DomainError):
            logger.error("unexpected failure", exc_info=error)
            error = InternalError()
        status = rpc_status.to_status(self._table.status(error))
        await context.abort(status.code, status.details, status.trailing_metadata)
