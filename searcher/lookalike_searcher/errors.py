"""What the searcher refuses, and the table from these errors to gRPC status codes.

DomainError
├── InvalidField          INVALID_FIELD
├── NotFound              PROJECT_NOT_FOUND, IMAGE_NOT_FOUND
├── AlreadyExists         PROJECT_EXISTS
├── FailedPrecondition    WRONG_SPACE, EMBEDDING_NEEDED
├── DatabaseUnavailable   DATABASE_UNAVAILABLE
└── DatabaseError         DATABASE_ERROR
"""

from collections.abc import Iterable

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from lookalike.status import DomainError, StatusTable


class InvalidField(DomainError):
    """A field of the request breaks a rule.

    Args:
        field: the field's path in the request, for example `reference.uri`.
        rule: what is asked of it.
        value: what was found.
    """

    def __init__(self, field: str, rule: str, value: object) -> None:
        found = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}..."
        super().__init__("INVALID_FIELD", f"{field}: {rule}, got {found}", field=field)
        self.field = field

    def details(self) -> Iterable[Message]:
        """Name the field."""
        violation = error_details_pb2.BadRequest.FieldViolation(field=self.field, description=self.message)
        yield error_details_pb2.BadRequest(field_violations=[violation])


class _OfResource(DomainError):
    """An error about one thing that has a name."""

    def __init__(self, reason: str, message: str, kind: str, name: str) -> None:
        super().__init__(reason, message, **{kind: name})
        self.kind, self.name = kind, name

    def details(self) -> Iterable[Message]:
        """Name the thing."""
        yield error_details_pb2.ResourceInfo(
            resource_type=f"lookalike.{self.kind}", resource_name=self.name, description=self.message
        )


class NotFound(_OfResource):
    """The named thing is not there."""

    @classmethod
    def project(cls, name: str) -> "NotFound":
        """There is no such project."""
        return cls("PROJECT_NOT_FOUND", f"project {name!r} does not exist", "project", name)

    @classmethod
    def image(cls, project: str, sha256: bytes) -> "NotFound":
        """The project has no such image."""
        return cls("IMAGE_NOT_FOUND", f"project {project!r} has no image {sha256.hex()}", "image", sha256.hex())


class AlreadyExists(_OfResource):
    """A thing of that name is there already."""

    @classmethod
    def project(cls, name: str) -> "AlreadyExists":
        """There is such a project."""
        return cls("PROJECT_EXISTS", f"project {name!r} exists already", "project", name)


class FailedPrecondition(DomainError):
    """The request does not fit what is stored."""

    @classmethod
    def wrong_space(cls, project: str, expected: str, found: str) -> "FailedPrecondition":
        """Vectors of two spaces cannot be compared."""
        return cls(
            "WRONG_SPACE",
            f"embedding.space: project {project!r} is in space {expected!r}, got {found!r}",
            expected=expected,
            found=found,
        )

    @classmethod
    def embedding_needed(cls, project: str, sha256: bytes) -> "FailedPrecondition":
        """A reference came without the vector of its image, and the image is not stored."""
        return cls(
            "EMBEDDING_NEEDED",
            f"embedding: required, as project {project!r} has no image {sha256.hex()} yet",
            sha256=sha256.hex(),
        )


class DatabaseUnavailable(DomainError):
    """PostgreSQL cannot be reached. It may be again in a moment."""

    def __init__(self) -> None:
        super().__init__("DATABASE_UNAVAILABLE", "the database cannot be reached at the moment; try again")


class DatabaseError(DomainError):
    """PostgreSQL refused a statement that it should not refuse. The log has the cause."""

    def __init__(self) -> None:
        super().__init__("DATABASE_ERROR", "the database failed on this request; the searcher's log has the cause")


STATUS = StatusTable(
    {
        InvalidField: grpc.StatusCode.INVALID_ARGUMENT,
        NotFound: grpc.StatusCode.NOT_FOUND,
        AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
        FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
        DatabaseUnavailable: grpc.StatusCode.UNAVAILABLE,
        DatabaseError: grpc.StatusCode.INTERNAL,
    }
)
