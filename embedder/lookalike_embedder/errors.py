"""What the embedder refuses, and the table from these errors to gRPC status codes.

DomainError
├── InvalidImage   EMPTY_IMAGE, IMAGE_TOO_LARGE, UNSUPPORTED_FORMAT, TOO_MANY_PIXELS, CORRUPT_IMAGE
├── Overloaded     OVERLOADED
└── ModelFailure   MODEL_FAILURE
"""

from collections.abc import Iterable

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from lookalike.status import DomainError, StatusTable


class InvalidImage(DomainError):
    """The bytes are no image that we accept. `reason` says which rule they break."""

    def details(self) -> Iterable[Message]:
        """Name the request's field."""
        violation = error_details_pb2.BadRequest.FieldViolation(field="image", description=self.message)
        yield error_details_pb2.BadRequest(field_violations=[violation])


class Overloaded(DomainError):
    """Too many calls are in flight.

    Args:
        in_flight: how many.
        retry_seconds: when to come back: the time that they take.
    """

    def __init__(self, in_flight: int, retry_seconds: float) -> None:
        super().__init__(
            "OVERLOADED",
            f"{in_flight} calls are in flight, and no more are taken; come back in {retry_seconds:.1f} s or ask another"
            " embedder",
            in_flight=in_flight,
        )
        self.retry_seconds = retry_seconds

    def details(self) -> Iterable[Message]:
        """Say when to come back."""
        yield error_details_pb2.RetryInfo(
            retry_delay=Duration(seconds=int(self.retry_seconds), nanos=int(self.retry_seconds % 1 * 1e9))
        )


class ModelFailure(DomainError):
    """The model failed on this image, alone."""

    def __init__(self) -> None:
        super().__init__("MODEL_FAILURE", "the model failed on this image; the embedder's log has the cause")


STATUS = StatusTable(
    {
        InvalidImage: grpc.StatusCode.INVALID_ARGUMENT,
        Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
        ModelFailure: grpc.StatusCode.INTERNAL,
    }
)
