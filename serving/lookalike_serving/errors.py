"""How our servers refuse: a domain error becomes a `google.rpc.Status` with details, or an `ItemError` in a stream.

Domain code raises `DomainError`s and knows nothing of gRPC; each server has one table from its errors to status codes;
`lookalike_serving.interceptor` applies it to whole RPCs and `StatusTable.item_error` to single items of a stream.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from lookalike.constants import ERROR_DOMAIN
from lookalike.v1.common_pb2 import ItemError

_LONGEST_RETRY_SECONDS: Final = 86_400.0

Context = grpc.aio.ServicerContext[Any, Any]


class DomainError(Exception):
    """A refusal with a stable reason, a sentence that names field, limit and value, and the values by name."""

    def __init__(self, reason: str, message: str, **metadata: object) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = _sendable(message)
        self.metadata = {name: _sendable(str(value)) for name, value in metadata.items()}

    def details(self) -> Iterable[Message]:
        """Further `google.rpc` details beside ErrorInfo; none by default."""
        return ()


def _sendable(text: str) -> str:
    """The text without halves of characters, which JSON has escapes for and UTF-8 has no bytes."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    """The detail that says when to come back."""
    delay = Duration()
    delay.FromNanoseconds(round(min(max(0.0, seconds), _LONGEST_RETRY_SECONDS) * 1e9))
    return error_details_pb2.RetryInfo(retry_delay=delay)


class ShuttingDown(DomainError):
    """The server takes no new work; another one will."""

    def __init__(self) -> None:
        super().__init__("SHUTTING_DOWN", "this server is shutting down; send the request again to reach another one")


class StreamAged(DomainError):
    """The stream has been open for long; the next one may reach a server that has come since."""

    def __init__(self) -> None:
        super().__init__("STREAM_AGED", "this stream has been open for long; open a new one for what is unanswered")


class InvalidMessage(DomainError):
    """A request that cannot be read, or holds more than any request of its method needs."""

    @classmethod
    def unparsable(cls, method: str) -> "InvalidMessage":
        """The bytes are no such request, or a text in it is not UTF-8."""
        return cls("MESSAGE_UNPARSABLE", f"message: its bytes are no request of {method}")

    @classmethod
    def missing(cls, method: str) -> "InvalidMessage":
        """The call ended before its request came."""
        return cls("MESSAGE_MISSING", f"message: {method} needs a request, and none came")

    @classmethod
    def too_large(cls, method: str, most: int, size: int) -> "InvalidMessage":
        """There are more bytes than any request of the method needs."""
        message = f"message: a request of {method} must be at most {most} bytes, got {size}"
        return cls("MESSAGE_TOO_LARGE", message, limit_bytes=most)

    @classmethod
    def field_too_long(cls, method: str, most: int, size: int) -> "InvalidMessage":
        """A field has more bytes than any of the method's needs."""
        message = f"message: a field of a request of {method} must be at most {most} bytes, got {size}"
        return cls("MESSAGE_TOO_LARGE", message, limit_bytes=most)

    @classmethod
    def too_many_entries(cls, method: str, most: int) -> "InvalidMessage":
        """There are more fields than any request of the method needs."""
        message = f"message: it has more fields than a request of {method} may, which are {most} in all"
        return cls("TOO_MANY_ENTRIES", message, limit_fields=most)


class SentSlowly(DomainError):
    """A request was still on its way while others waited."""

    def __init__(self) -> None:
        super().__init__("SENT_SLOWLY", "this request came slowly while others waited; send it again")


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
            InvalidMessage: grpc.StatusCode.INVALID_ARGUMENT,
            SentSlowly: grpc.StatusCode.UNAVAILABLE,
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
