"""Turn a domain error into a `google.rpc.Status` with details, or into the `ItemError` of one item of a stream.

Domain code raises `DomainError`s and knows nothing of gRPC; each server has one table from its errors to status codes;
`lookalike_serving.rpc` applies it to whole RPCs and `StatusTable.item_error` to single items of a stream.
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
    """A domain error is a refusal.

    It has a stable reason, a message that names field, limit and value, and those values.

    Args:
        reason: a constant such as `INVALID_FIELD`, on which clients may rely.
        message: one sentence for people.
        metadata: the values that the message holds, by name, for programs.
    """

    def __init__(self, reason: str, message: str, **metadata: object) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = _sendable(message)
        self.metadata = {name: _sendable(str(value)) for name, value in metadata.items()}

    def details(self) -> Iterable[Message]:
        """Return the `google.rpc` details that are sent beside ErrorInfo; none by default."""
        return ()


def _sendable(text: str) -> str:
    """Return the text without lone surrogates, which JSON can spell and UTF-8 cannot."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    """Return the detail that says after how many seconds to try again, at most a day."""
    delay = Duration()
    delay.FromNanoseconds(round(min(max(0.0, seconds), _LONGEST_RETRY_SECONDS) * 1e9))
    return error_details_pb2.RetryInfo(retry_delay=delay)


class ShuttingDown(DomainError):
    """The server takes no new work. Another server will."""

    def __init__(self) -> None:
        super().__init__("SHUTTING_DOWN", "this server is shutting down; send the request again to reach another one")


class StreamAged(DomainError):
    """The stream has been open for long. The next one may reach a server that has started since."""

    def __init__(self) -> None:
        super().__init__("STREAM_AGED", "this stream has been open for long; open a new one for what is unanswered")


class InvalidMessage(DomainError):
    """The request cannot be read, or it holds more than any request of its method needs."""

    @classmethod
    def unparsable(cls, method: str) -> "InvalidMessage":
        """The bytes are no request of this method, or a text in them is not UTF-8."""
        return cls("MESSAGE_UNPARSABLE", f"message: its bytes are no request of {method}")

    @classmethod
    def missing(cls, method: str) -> "InvalidMessage":
        """The call has ended before its request arrived."""
        return cls("MESSAGE_MISSING", f"message: {method} needs a request, and none came")

    @classmethod
    def too_large(cls, method: str, limit: int, size: int) -> "InvalidMessage":
        """The request has more bytes than any request of the method needs."""
        message = f"message: a request of {method} must be at most {limit} bytes, got {size}"
        return cls("MESSAGE_TOO_LARGE", message, limit_bytes=limit)

    @classmethod
    def field_too_long(cls, method: str, limit: int, size: int) -> "InvalidMessage":
        """A field has more bytes than any field of the method needs."""
        message = f"message: a field of a request of {method} must be at most {limit} bytes, got {size}"
        return cls("MESSAGE_TOO_LARGE", message, limit_bytes=limit)

    @classmethod
    def too_many_entries(cls, method: str, limit: int) -> "InvalidMessage":
        """The request has more fields than any request of the method needs."""
        message = f"message: it has more fields than a request of {method} may, which are {limit} in all"
        return cls("TOO_MANY_ENTRIES", message, limit_fields=limit)


class SentSlowly(DomainError):
    """The request was still arriving while other requests waited for its place."""

    def __init__(self) -> None:
        super().__init__("SENT_SLOWLY", "this request came slowly while others waited; send it again")


class LateTaken(DomainError):
    """The event loop is so late that the call has waited for too long when it was taken.

    Args:
        waited_seconds: how long that was.
        retry_seconds: seconds until the client should try again.
    """

    def __init__(self, waited_seconds: float, retry_seconds: float) -> None:
        super().__init__(
            "OVERLOADED",
            f"this server is overloaded: the call had waited for {waited_seconds:.3f} s, too long for its deadline,"
            f" before anything could be done for it; try again in {retry_seconds:.3f} s, or ask another server",
            waited_seconds=f"{waited_seconds:.3f}",
            retry_seconds=f"{retry_seconds:.3f}",
        )
        self._retry_seconds = retry_seconds

    def details(self) -> Iterable[Message]:
        """Yield when to try again."""
        yield retry_info(self._retry_seconds)


class InternalError(DomainError):
    """The server has failed, and the caller is not at fault. The log has the cause, the answer does not."""

    def __init__(self) -> None:
        super().__init__("INTERNAL", "the server failed on this request; its log has the cause")


class StatusTable:
    """The table holds the gRPC status code of each domain error of one server."""

    def __init__(self, codes: Mapping[type[DomainError], grpc.StatusCode]) -> None:
        self._codes: dict[type, grpc.StatusCode] = {
            ShuttingDown: grpc.StatusCode.UNAVAILABLE,
            StreamAged: grpc.StatusCode.UNAVAILABLE,
            InvalidMessage: grpc.StatusCode.INVALID_ARGUMENT,
            SentSlowly: grpc.StatusCode.UNAVAILABLE,
            LateTaken: grpc.StatusCode.RESOURCE_EXHAUSTED,
            InternalError: grpc.StatusCode.INTERNAL,
            **codes,
        }

    def code(self, error: DomainError) -> grpc.StatusCode:
        """Return the status code of a domain error, by its exact class."""
        return self._codes[type(error)]

    def item_error(self, error: DomainError) -> ItemError:
        """Return the error as the failure of one item of a stream."""
        return ItemError(
            code=self.code(error).value[0], reason=error.reason, message=error.message, metadata=error.metadata
        )

    def status(self, error: DomainError, *further: Message) -> status_pb2.Status:
        """Return the error as the failure of a whole RPC, with further details."""
        info = error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata)
        status = status_pb2.Status(code=self.code(error).value[0], message=error.message)
        for detail in (info, *error.details(), *further):
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return status
