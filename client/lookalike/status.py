"""How our servers refuse: a domain error becomes a `google.rpc.Status` with details, or an `ItemError` in a stream.

Domain code raises `DomainError`s and knows nothing of gRPC; each server has one table from its errors to status codes;
`lookalike.request` applies it to whole RPCs and `StatusTable.item_error` to single items of a stream.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from lookalike.v1.common_pb2 import ItemError
from lookalike.wire import ERROR_DOMAIN

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


class StreamAged(DomainError):
    """The stream has been open for long; the next one may reach a server that has come since."""

    def __init__(self) -> None:
        super().__init__("STREAM_AGED", "this stream has been open for long; open a new one for what is unanswered")


class InternalError(DomainError):
    """Something failed that is not the caller's fault. The log has the cause; the answer does not."""

    def __init__(self) -> None:
        super().__init__("INTERNAL", "the server failed on this request; its log has the cause")


class StatusTable:
    """One server's table from domain errors to gRPC status codes."""

    def __init__(self, codes: Mapping[type[DomainError], grpc.StatusCode]) -> None:
        self._codes: dict[type, grpc.StatusCode] = {
            ShuttingDown: grpc.StatusCode.UNAVAILABLE,
            StreamAged: grpc.StatusCode.UNAVAILABLE,
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

    def status(self, error: DomainError, *further: Message) -> status_pb2.Status:
        """The error as the failure of a whole RPC, with further details."""
        info = error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata)
        status = status_pb2.Status(code=self.code(error).value[0], message=error.message)
        for detail in (info, *error.details(), *further):
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return status
