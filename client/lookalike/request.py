"""What surrounds every RPC of our services: its id, its span, the status that it ends with, its line in the log."""

import logging
import math
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Self

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from lookalike import tracing
from lookalike.security.audit import Record
from lookalike.security.errors import REFUSALS
from lookalike.security.guard import Guard, permit
from lookalike.security.permission import NOBODYS, OPEN, PERMISSIONS
from lookalike.status import Context, DomainError, InternalError, StatusTable, StreamAged

logger = logging.getLogger(__name__)

REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="")
"""The id of the RPC that is served here, also in the tasks that it starts; empty outside of one."""

_DEADLINE: Final[ContextVar[float]] = ContextVar("deadline", default=math.inf)
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")


Observe = Callable[[str, grpc.StatusCode, str, float], None]
"""Is told of an RPC's end: its method, `package.Service/Method`, status code, the reason if it was refused, seconds."""


Parsers = Mapping[str, Callable[[bytes], Any]]
"""From a method, `package.Service/Method`, to what reads its requests."""


def unobserved(method: str, code: grpc.StatusCode, reason: str, seconds: float) -> None:
    """For whom nobody listens."""


def time_remaining() -> float:
    """Seconds until the deadline of the RPC that is served here, also in the tasks that it starts; 0 after it.

    Infinity without a deadline, and outside of an RPC.
    """
    return max(0.0, _DEADLINE.get() - time.monotonic())


def request_id(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The caller's `x-request-id`, or a new one where it is missing or no 1 to 128 of A-Z a-z 0-9 . _ -."""
    for name, value in metadata:
        if name == "x-request-id" and isinstance(value, str) and _ID.fullmatch(value):
            return value
    return uuid.uuid4().hex


class _Rpc:
    """One RPC, as the block that serves it.

    Whatever leaves the block ends the RPC: a `DomainError` with its status; any other exception is logged and becomes
    INTERNAL. The block is entered and left once, so that the messages of a stream cost nothing.

    Args:
        details: what was called.
        context: its other end.
        table: the status codes of the service's errors.
        success_level: how the end of a successful one is logged.
        observe: is told of its end.
        guard: lets callers in.
    """

    def __init__(
        self,
        details: grpc.HandlerCallDetails,
        context: Context,
        table: StatusTable,
        success_level: int,
        observe: Observe,
        guard: Guard,
    ) -> None:
        self._observe, self._guard = observe, guard
        self._method = details.method.removeprefix("/")
        self._metadata = details.invocation_metadata or ()
        self._context, self._table, self._success_level = context, table, success_level
        self._id = request_id(self._metadata)
        self._permission = PERMISSIONS.get(self._method, NOBODYS)

    async def __aenter__(self) -> Self:
        """Set the id, for this task and those that it starts."""
        self._began = time.monotonic()
        REQUEST_ID.set(self._id)
        remaining = self._context.time_remaining()
        _DEADLINE.set(math.inf if remaining is None else self._began + remaining)
        self._span = tracing.begin_rpc(self._method, self._metadata, self._id)
        self._record = Record()
        return self

    async def admit(self) -> None:
        """Let the caller in. Raises what the guard raises."""
        self._record.caller = caller = await self._guard.identify(self._metadata, self._context)
        self._guard.admit(caller, self._method)

    def permitted(self, request: Any) -> Any:  # noqa: ANN401 - any request
        """The request, if its projects are the caller's. Nothing has looked yet whether there are such."""
        permit(self._permission, self._record, request)
        return request

    def all_permitted(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The requests of a stream, likewise; where none names a project, just as they come."""
        return self._each_permitted(requests) if self._permission.projects else requests

    async def _each_permitted(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        caller = self._record.caller
        async for request in requests:
            if caller and caller.expires <= time.time():
                raise StreamAged  # the client opens the next one, with a new token
            yield self.permitted(request)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        if error is None:
            self._end(grpc.StatusCode.OK, self._success_level)
        elif isinstance(error, Exception):
            await self._refuse(error)
        else:  # the caller has gone, or its deadline has passed: nobody hears an answer
            late = self._context.time_remaining() == 0
            self._end(grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED, logging.INFO)

    async def _refuse(self, error: Exception) -> None:
        if not isinstance(error, DomainError):
            logger.error("unexpected failure", exc_info=error)
            error = InternalError()
        code = self._table.code(error)
        self._end(code, logging.WARNING if code is grpc.StatusCode.INTERNAL else logging.INFO, error)
        id_detail = error_details_pb2.RequestInfo(request_id=self._id)
        status = rpc_status.to_status(self._table.status(error, id_detail))
        await self._context.abort(status.code, status.details, status.trailing_metadata)

    def _end(self, code: grpc.StatusCode, level: int, refusal: DomainError | None = None) -> None:
        if self._span:
            tracing.end_rpc(self._span, code)
        seconds, reason = round(time.monotonic() - self._began, 6), refusal.reason if refusal else ""
        if self._permission.audited or type(refusal) in REFUSALS:
            self._record.write(self._method, code.name, self._id, refusal)
        self._observe(self._method, code, reason, seconds)
        if logger.isEnabledFor(level):
            fields = {
                "method": self._method,
                "code": code.name,
                "seconds": seconds,
                "request_id": self._id,  # not left to the context: a stream that was left is closed by another task
            }
            if reason:
                fields["reason"] = reason
            logger.log(level, "%s: %s in %g s", self._method, reason or code.name, seconds, extra=fields)


class RequestInterceptor(grpc.aio.ServerInterceptor):
    """Surrounds a server's RPCs; those of health pass untouched.

    Args:
        service: the full name of the server's own service.
        table: the status codes of its errors.
        observe: is told of the end of each RPC of the service.
        guard: lets callers in.
        parsers: read the requests of some methods, instead of protobuf's own.
    """

    def __init__(self, service: str, table: StatusTable, observe: Observe, guard: Guard, parsers: Parsers) -> None:
        self._parsers = parsers
        self._prefix = f"/{service}/"
        self._table = table
        self._observe = observe
        self._guard = guard

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401 - None for an unknown method, which gRPC's types forget
        """Wrap the three kinds of handler that our services have."""
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method.removeprefix("/")
        if handler is None or method in OPEN:
            return handler  # no such method: gRPC answers UNIMPLEMENTED itself
        serializers = (self._parsers.get(method, handler.request_deserializer), handler.response_serializer)
        if handler.unary_unary:
            unary = self._unary(handler.unary_unary, handler_call_details)
            return grpc.unary_unary_rpc_method_handler(unary, *serializers)
        if handler.unary_stream:
            stream = self._stream(handler.unary_stream, handler_call_details, _Rpc.permitted)
            return grpc.unary_stream_rpc_method_handler(stream, *serializers)
        stream = self._stream(handler.stream_stream, handler_call_details, _Rpc.all_permitted)
        return grpc.stream_stream_rpc_method_handler(stream, *serializers)

    def _unary(self, method: Callable[[Any, Context], Awaitable[Any]], details: grpc.HandlerCallDetails) -> Any:  # noqa: ANN401 - gRPC's own type
        async def answer(request: Any, context: Context) -> Any:  # noqa: ANN401
            async with self._rpc(details, context, logging.DEBUG) as rpc:
                await rpc.admit()
                return await method(rpc.permitted(request), context)

        return answer

    def _stream(
        self,
        method: Callable[[Any, Context], AsyncIterator[Any]],
        details: grpc.HandlerCallDetails,
        permitted: Callable[[_Rpc, Any], Any],
    ) -> Any:  # noqa: ANN401
        async def answer(asked: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401 - a request, or several
            async with self._rpc(details, context, logging.INFO) as rpc:
                await rpc.admit()
                async for response in method(permitted(rpc, asked), context):
                    yield response

        return answer

    def _rpc(self, details: grpc.HandlerCallDetails, context: Context, success_level: int) -> _Rpc:
        observe = self._observe if details.method.startswith(self._prefix) else unobserved
        return _Rpc(details, context, self._table, success_level, observe, self._guard)
