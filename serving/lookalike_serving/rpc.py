"""Serve one RPC: set its id and deadline, let its caller in, end it with a status, and log it."""

import logging
import math
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterable
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
_WAITED: Final[ContextVar[float]] = ContextVar("waited", default=0.0)

_LEVELS: Final = {
    grpc.StatusCode.INTERNAL: logging.WARNING,
    grpc.StatusCode.RESOURCE_EXHAUSTED: logging.DEBUG,  # these come by the thousand, and metrics count them
}
"""The level at which a refusal is logged, unless it is INFO."""

Observe = Callable[[str, grpc.StatusCode, str, float], None]
"""Called at an RPC's end with its method, `package.Service/Method`, status code, reason if refused, and seconds."""


def unobserved(method: str, code: grpc.StatusCode, reason: str, seconds: float) -> None:
    """Do nothing: this observer is the default."""


def time_remaining() -> float:
    """Return the seconds until the deadline of the RPC that this task serves, or that started this task; 0 after it.

    It is infinite if there is no deadline, and outside of an RPC.
    """
    return max(0.0, _DEADLINE.get() - time.monotonic())


def note_wait(seconds: float) -> None:
    """Note how long the RPC that this task serves had waited when the event loop took it."""
    _WAITED.set(seconds)


def time_waited() -> float:
    """Return what `note_wait` has noted for this task's RPC, or for that of the task that started it; 0 without one."""
    return _WAITED.get()


class Rpc:
    """The context manager ends one RPC as the block ends that serves it.

    A `DomainError` that leaves the block ends the RPC with its status. Any other exception is logged and becomes
    INTERNAL. The block is entered and left once, so that the messages of a stream cost nothing.

    Args:
        method: the name of the method that was called, `package.Service/Method`.
        metadata: the call's metadata.
        request_id: the id of the request.
        context: gRPC's own context of the call.
        table: the status codes of the service's errors.
        success_level: the level at which the end of a successful RPC is logged.
        observe: is called at the RPC's end.
        guard: identifies and admits callers.
    """

    def __init__(
        self,
        method: str,
        metadata: Iterable[tuple[str, str | bytes]],
        request_id: str,
        context: Context,
        table: StatusTable,
        success_level: int,
        observe: Observe,
        guard: Guard,
    ) -> None:
        self._observe, self._guard = observe, guard
        self._method, self._metadata = method, metadata
        self._context, self._table, self._success_level = context, table, success_level
        self._id = request_id
        self._is_open = self._method in OPEN
        self._permission = PERMISSIONS.get(self._method, NOBODYS)

    async def __aenter__(self) -> Self:
        """Set the request's id and deadline for this task and those that it starts."""
        self._began = time.monotonic()
        REQUEST_ID.set(self._id)
        remaining = self._context.time_remaining()
        _DEADLINE.set(math.inf if remaining is None else self._began + remaining)
        is_traced = tracing.is_on() and not self._is_open
        self._span = tracing.begin_rpc(self._method, self._metadata, self._id) if is_traced else None
        self._record = Record()
        return self

    async def admit(self) -> None:
        """Identify and admit the caller. Raises what the guard raises."""
        if self._is_open:
            return
        self._record.caller = caller = await self._guard.identify(self._metadata, self._context)
        self._guard.admit(caller, self._method)

    def permitted(self, request: Any) -> Any:  # noqa: ANN401 - any request
        """Return the request if the caller may use its projects, which need not exist. Raises PermissionDenied."""
        permit(self._permission, self._record, request)
        return request

    def all_permitted(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Return the requests of a stream, each checked as by `permitted`; unchanged if requests name no projects."""
        return self._each_permitted(requests) if self._permission.projects else requests

    async def _each_permitted(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        caller = self._record.caller
        async for request in requests:
            if caller and caller.expires <= time.time():
                raise StreamAged  # the client opens a new stream, with a new token
            yield self.permitted(request)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """End the RPC. Afterwards, nothing holds its requests any more."""
        if error is None:
            self._end(grpc.StatusCode.OK, self._success_level)
            return False
        if isinstance(error, Exception):
            if not isinstance(error, grpc.aio.AbortError):  # the health service has aborted the call itself
                await self._refuse(error)
        else:  # the caller has cancelled, or its deadline has passed, so that no answer would arrive
            late = self._context.time_remaining() == 0
            self._end(grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED, logging.INFO)
        _clear_frames(error)
        return isinstance(error, Exception)

    async def _refuse(self, error: Exception) -> None:
        if not isinstance(error, DomainError):
            logger.error("unexpected failure", exc_info=error)
            error = InternalError()
        code = self._table.code(error)
        self._end(code, _LEVELS.get(code, logging.INFO), error)
        id_detail = error_details_pb2.RequestInfo(request_id=self._id)
        status = rpc_status.to_status(self._table.status(error, id_detail))
        try:
            await self._context.abort(status.code, status.details, status.trailing_metadata)
        except grpc.aio.AbortError as aborted:
            _clear_frames(aborted)

    def _end(self, code: grpc.StatusCode, level: int, refusal: DomainError | None = None) -> None:
        if self._is_open:  # probes call often, and would fill the log
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
                "request_id": self._id,  # not from the context: an abandoned stream is closed by another task
            }
            if reason:
                fields["reason"] = reason
            logger.log(level, "%s: %s in %g s", self._method, reason or code.name, seconds, extra=fields)


def _clear_frames(error: BaseException) -> None:
    """Clear the frames that an exception came through, so that they hold no objects.

    Tasks keep the exceptions that they ended with, and gRPC keeps one with each aborted call. An exception
    keeps its frames, and those keep tasks, calls and requests, in a cycle until the garbage collector runs. A hundred
    refused images of 14 MiB took 1.4 GiB.
    """
    while True:
        traceback.clear_frames(error.__traceback__)
        cause = error.__cause__ or error.__context__
        error.__traceback__ = error.__cause__ = error.__context__ = None
        if cause is None:
            return
        error = cause
