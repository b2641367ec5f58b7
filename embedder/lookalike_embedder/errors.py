"""Define the embedder's refusals, and the table from these errors to gRPC status codes.

DomainError
├── InvalidImage     EMPTY_IMAGE, IMAGE_TOO_LARGE, UNSUPPORTED_FORMAT, TOO_MANY_PIXELS, CORRUPT_IMAGE
├── InvalidText      EMPTY_TEXT, TEXT_TOO_LONG, TOO_MANY_TOKENS
├── NoTextEncoder    NO_TEXT_ENCODER
├── TooManyEntries   TOO_MANY_ENTRIES
├── Overloaded       OVERLOADED
├── TooLate          DEADLINE_EXCEEDED
├── ModelFailure     MODEL_FAILURE
└── DeviceLost       DEVICE_LOST

OutOfMemory never leaves the embedder: the batch is halved. Refusals of callers are in
`lookalike_serving.security.errors`.
"""

import math
from collections.abc import Iterable
from typing import ClassVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from lookalike_serving.errors import DomainError, StatusTable, retry_info
from lookalike_serving.security.errors import REFUSALS


class _OfField(DomainError):
    """A field of the request breaks a rule."""

    field: ClassVar[str]

    def details(self) -> Iterable[Message]:
        """Yield the field of the request that breaks the rule."""
        violation = error_details_pb2.BadRequest.FieldViolation(field=self.field, description=self.message)
        yield error_details_pb2.BadRequest(field_violations=[violation])


class InvalidImage(_OfField):
    """The bytes are no image that we accept; `reason` says which rule they break."""

    field = "image"


class InvalidText(_OfField):
    """The text is none that we accept; `reason` says which rule it breaks."""

    field = "text"


class NoTextEncoder(DomainError):
    """The model embeds images alone."""

    def __init__(self, space: str) -> None:
        super().__init__(
            "NO_TEXT_ENCODER", f"text: the model of this embedder, {space}, embeds images alone; it has no text encoder"
        )


class TooManyEntries(_OfField):
    """A message of a stream has more images than allowed."""

    field = "entries"

    def __init__(self, limit: int) -> None:
        super().__init__("TOO_MANY_ENTRIES", f"entries: must be at most {limit} in a message, got more")


class Overloaded(DomainError):
    """The embedder has too much in flight, or so much that the answer would come too late.

    Args:
        in_flight: how many calls or streams are in flight.
        retry_seconds: seconds until the client should try again: the time that they take.
        deadline_seconds: seconds until the caller's deadline.
        what: `calls` or `streams`.
    """

    def __init__(
        self, in_flight: int, retry_seconds: float, *, deadline_seconds: float = math.inf, what: str = "calls"
    ) -> None:
        late = f", and the deadline is in {deadline_seconds:.1f} s" if deadline_seconds < retry_seconds else ""
        super().__init__(
            "OVERLOADED",
            f"{in_flight} {what} are in flight{late}; come back in {retry_seconds:.1f} s or ask another embedder",
            in_flight=in_flight,
        )
        self.retry_seconds = retry_seconds

    def details(self) -> Iterable[Message]:
        """Yield when to try again."""
        yield retry_info(self.retry_seconds)


class TooLate(DomainError):
    """The deadline has passed while the image, or the text, waited; nothing was computed."""

    def __init__(self, what: str = "image") -> None:
        super().__init__("DEADLINE_EXCEEDED", f"the deadline passed while the {what} waited; it was not computed")


class ModelFailure(DomainError):
    """The model has failed on this image, or text, and not because of others in its batch."""

    def __init__(self, what: str = "image") -> None:
        super().__init__("MODEL_FAILURE", f"the model failed on this {what}; the embedder's log has the cause")


class DeviceLost(DomainError):
    """The device does not compute any more; another embedder may answer."""

    def __init__(self) -> None:
        super().__init__(
            "DEVICE_LOST", "this embedder's device has failed; send the request again to reach another one"
        )


class Unsupported(Exception):
    """The requested device or precision is not available on this machine."""


class InvalidModel(Exception):
    """The ONNX file or the TOML of `--model` is wrong. The message says which, with the line or the input."""


class Stuck(Exception):
    """Some threads do not end, so that the process must end itself."""


class OutOfMemory(MemoryError):
    """There is not enough memory for a batch of this size."""


STATUS = StatusTable(
    {
        InvalidImage: grpc.StatusCode.INVALID_ARGUMENT,
        InvalidText: grpc.StatusCode.INVALID_ARGUMENT,
        NoTextEncoder: grpc.StatusCode.FAILED_PRECONDITION,
        TooManyEntries: grpc.StatusCode.INVALID_ARGUMENT,
        Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
        TooLate: grpc.StatusCode.DEADLINE_EXCEEDED,
        ModelFailure: grpc.StatusCode.INTERNAL,
        DeviceLost: grpc.StatusCode.UNAVAILABLE,
        **REFUSALS,
    }
)
