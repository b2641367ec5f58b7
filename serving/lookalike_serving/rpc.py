"""One RPC, from the caller's first metadata to the status that it ends with."""

import logging
import math
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Self

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from lookalike._transport.call_context import REQUEST_ID
from lookalike_serving import tracing
from lookalike_serving.errors import Context, DomainError, InternalError, StatusTable, StreamAged
from lookalike_serving.security.audit import Record
from lookalike_serving.security.authentication import Guard, permit
from lookalike_serving.security.errors import REFUSALS
from lookalike_serving.security.permissions import NOBODYS, OPEN, PERMISSIONS

logger = logging.getLogger("lookalike_serving.interceptor")  # the name that operators filter by

_DEADLINE: Final[ContextVar[float]] = ContextVar("deadline", default=math.inf)

Observe = Callable[[str, grpc.StatusCode, str, float], None]
"""Is told of an RPC's end: its method, `package.Service/Method`, status code, the reason if it was refused, seconds."""


def unobserved(method: str, code: grpc.StatusCode, reason: str, seconds: float) -> None:
    """For whom nobody listens."""


def time_remaining() -> float:
    """Seconds until the deadline of the RPC that is served here, also in the tasks that it starts; 0 after it.

    Infinity without a deadline, and outside of an RPC.
    """
    return max(0.0, _DEADLINE.get() - time.monotonic())


class Rpc:
    """One RPC, as the block that serves it.

    Whatever leaves the block ends the RPC: a `DomainError` with its status; any other exception is logged and becomes
    INTERNAL. The block is entered and left once, so that the messages of a stream cost nothing.

    Args:
        details: what was called.
        request_id: its id.
        context: its other end.
        table: the status codes of the service's errors.
        success_level: how the end of a successful one is logged.
        observe: is told of its end.
        guard: lets callers in.
    """

    def __init__(
        self,
        details: grpc.HandlerCallDetails,
        request_id: str,
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
        self._id = request_id
        self._is_open = self._method in OPEN
        self._permission = PERMISSIONS.get(self._method, NOBODYS)

    async def __aenter__(self) -> Self:
        """Set the id, for this task and those that it starts."""
        self._began = time.monotonic()
        REQUEST_ID.set(self._id)
        remaining = self._context.time_remaining()
        _DEADLINE.set(math.inf if remaining is None else self._began + remaining)
        self._span = None if self._is_open else tracing.begin_rpc(self._method, self._metadata, self._id)
        self._record = Record()
        return self

    async def admit(self) -> None:
        """Let the caller in. Raises what the guard raises."""
        if self._is_open:
            return
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
    ) -> bool:
        """End it. What it was about is held by nothing afterwards."""
        if error is None:
            self._end(grpc.StatusCode.OK, self._success_level)
            return False
        if isinstance(error, Exception):
            if not isinstance(error, grpc.aio.AbortError):  # by a service that is not ours
                await self._refuse(error)
        else:  # the caller has gone, or its deadline has passed: nobody hears an answer
            late = self._context.time_remaining() == 0
            self._end(grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED, logging.INFO)
        _let_go(error)
        return isinstance(error, Exception)

    async def _refuse(self, error: Exception) -> None:
        if not isinstance(error, DomainError):
            logger.error("unexpected failure", exc_info=error)
            error = InternalError()
        code = self._table.code(error)
        self._end(code, logging.WARNING if code is grpc.StatusCode.INTERNAL else logging.INFO, error)
        id_detail = error_details_pb2.RequestInfo(request_id=self._id)
        status = rpc_status.to_status(self._table.status(error, id_detail))
        try:
            await self._context.abort(status.code, status.details, status.trailing_metadata)
        except grpc.aio.AbortError as aborted:
            _let_go(aborted)

    def _end(self, code: grpc.StatusCode, level: int, refusal: DomainError | None = None) -> None:
        if self._is_open:  # probes come often, and say nothing
            return
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


def _let_go(error: BaseException) -> None:
    """Empty the frames that an exception came through.

    Tasks keep the exceptions that they ended with, and gRPC keeps one with each call that is aborted. An exception
    keeps the frames, and those keep tasks, calls and requests: in a circle, until the collector looks. A hundred
    refused images of 14 MiB were 1.4 GiB.
    """
    while True:
        traceback.clear_frames(error.__traceback__)
        before = error.__cause__ or error.__context__
        error.__traceback__ = error.__cause__ = error.__context__ = None
        if before is None:
            return
        error = before
