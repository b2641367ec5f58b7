"""Define the searcher's refusals, and the table from these errors to gRPC status codes.

DomainError
├── InvalidField          INVALID_FIELD
├── NotFound              PROJECT_NOT_FOUND, IMAGE_NOT_FOUND, SPACE_NOT_FOUND
├── AlreadyExists         PROJECT_EXISTS, SPACE_EXISTS
├── FailedPrecondition    WRONG_SPACE, EMBEDDING_NEEDED, SPACE_INCOMPLETE, SPACE_SERVES, SPACE_HAS_DERIVED,
│                         SOURCE_IS_DERIVED, SEARCH_DISABLED, NOT_PROPOSED
├── QuotaExceeded         IMAGE_QUOTA_EXCEEDED, HIT_QUOTA_EXCEEDED, BATCH_QUOTA_EXCEEDED, SEARCH_QUOTA_EXCEEDED,
│                         PROJECT_BUSY, FEEDBACK_QUOTA_EXCEEDED
├── Overloaded            OVERLOADED
├── DatabaseTimeout       DATABASE_TIMEOUT
├── DatabaseUnavailable   DATABASE_UNAVAILABLE
└── DatabaseError         DATABASE_ERROR

Refusals of callers are in `lookalike_serving.security.errors`.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from lookalike_searcher.quota import QuotaExceeded
from lookalike_serving.errors import DomainError, StatusTable, retry_info
from lookalike_serving.security.errors import REFUSALS

_MAX_NAMED: Final = 50
"""An error names so many hashes at most: gRPC's trailers have room for 8 KiB."""
_MAX_SHOWN: Final = 200
"""An error shows so many characters of a URI: it is sent four times, and each character may become twelve bytes."""


class Measure(str):
    """A measure has no quotes in a message, where it replaces a value that is too long: `300 bytes`."""

    __slots__ = ()
    __repr__ = str.__str__


MISSING: Final = Measure()
"""This stands for a value that was not given: the message says nothing of it."""


class InvalidField(DomainError):
    """A field of the request is not valid.

    Args:
        field: the field's path in the request, for example `reference.uri`.
        rule: the rule that the field must keep.
        value: the value that breaks it, or a measure of it.
    """

    def __init__(self, field: str, rule: str, value: object = MISSING) -> None:
        shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}..."
        super().__init__("INVALID_FIELD", f"{field}: {rule}" + f", got {shown}" * bool(shown), field=field)
        self.field, self.rule, self.value = field, rule, value

    def details(self) -> Iterable[Message]:
        """Yield the name of the field, with the message."""
        violation = error_details_pb2.BadRequest.FieldViolation(field=self.field, description=self.message)
        yield error_details_pb2.BadRequest(field_violations=[violation])


class _OfResource(DomainError):
    """An error about one thing that has a name."""

    def __init__(self, reason: str, message: str, kind: str, name: str) -> None:
        super().__init__(reason, message, **{kind: name})
        self.kind, self.name = kind, name

    def details(self) -> Iterable[Message]:
        """Yield the type and the name of the resource."""
        yield error_details_pb2.ResourceInfo(
            resource_type=f"lookalike.{self.kind}", resource_name=self.name, description=self.message
        )


class NotFound(_OfResource):
    """The resource of this name does not exist."""

    @classmethod
    def project(cls, name: str) -> "NotFound":
        """There is no project of this name."""
        return cls("PROJECT_NOT_FOUND", f"project {name!r} does not exist", "project", name)

    @classmethod
    def image(cls, project_name: str, sha256: bytes) -> "NotFound":
        """The project has no image with this hash."""
        return cls("IMAGE_NOT_FOUND", f"project {project_name!r} has no image {sha256.hex()}", "image", sha256.hex())

    @classmethod
    def image_at(cls, project_name: str, uri: str) -> "NotFound":
        """The project has no image at this URI."""
        shown = uri if len(uri) <= _MAX_SHOWN else f"{uri[: _MAX_SHOWN - 3]}..."
        return cls("IMAGE_NOT_FOUND", f"project {project_name!r} has no image at {shown!r}", "image", shown)

    @classmethod
    def space(cls, project_name: str, name: str) -> "NotFound":
        """The project has no space of this name."""
        return cls("SPACE_NOT_FOUND", f"project {project_name!r} has no space {name!r}", "space", name)


class AlreadyExists(_OfResource):
    """There is already a resource of this name."""

    @classmethod
    def project(cls, name: str) -> "AlreadyExists":
        """There is already a project of this name."""
        return cls("PROJECT_EXISTS", f"project {name!r} exists already", "project", name)

    @classmethod
    def space(cls, project_name: str, name: str) -> "AlreadyExists":
        """The project has already a space of this name."""
        return cls("SPACE_EXISTS", f"project {project_name!r} has the space {name!r} already", "space", name)


class FailedPrecondition(DomainError):
    """The request does not fit the stored data."""

    @classmethod
    def wrong_space(cls, project_name: str, expected: str, actual: str) -> "FailedPrecondition":
        """The vector is in another space than the project's."""
        return cls(
            "WRONG_SPACE",
            f"embedding.space: project {project_name!r} is in space {expected!r}, got {actual!r}; use an embedder of"
            " that space, or add the new one with `lookalike space create`",
            expected=expected,
            found=actual,
        )

    @classmethod
    def embedding_needed(cls, project_name: str, space: str, sha256s: Sequence[bytes]) -> "FailedPrecondition":
        """The references have no vectors of their images, and the images are not stored."""
        hashes = [sha256.hex() for sha256 in sha256s]
        which = hashes[0] if len(hashes) == 1 else f"{hashes[0]} and {len(hashes) - 1} more"
        return cls(
            "EMBEDDING_NEEDED",
            f"embedding: required in space {space!r}, as project {project_name!r} has no image {which} yet",
            sha256=",".join(hashes[:_MAX_NAMED]),
        )

    @classmethod
    def space_incomplete(cls, project_name: str, space: str, missing: int, *, indexed: bool) -> "FailedPrecondition":
        """The space lacks vectors of some images, or its index is not ready."""
        lack = (
            f"{missing} images of project {project_name!r} have no vector in it"
            if missing
            else "its index is not ready"
        )
        return cls(
            "SPACE_INCOMPLETE",
            f"space {space!r} cannot serve yet: {lack}; see allow_incomplete",
            missing_images=missing,
            indexed=indexed,
        )

    @classmethod
    def space_serves(cls, project_name: str, space: str) -> "FailedPrecondition":
        """The space serves searches, so it cannot be deleted."""
        return cls("SPACE_SERVES", f"space {space!r} serves project {project_name!r}: cut over to another one first")

    @classmethod
    def space_has_derived(cls, project_name: str, space: str, derived: Sequence[str]) -> "FailedPrecondition":
        """The space is the source of others, so it cannot be deleted before them."""
        names = ", ".join(map(repr, derived))
        message = f"space {space!r} of project {project_name!r} is the source of {names}: delete what is derived first"
        return cls("SPACE_HAS_DERIVED", message, derived=",".join(derived))

    @classmethod
    def source_is_derived(cls, project_name: str, source: str) -> "FailedPrecondition":
        """The source is derived itself: spaces can only be derived from spaces that writers fill."""
        message = f"projection.source: space {source!r} of project {project_name!r} is derived itself; name its source"
        return cls("SOURCE_IS_DERIVED", message, source=source)

    @classmethod
    def search_disabled(cls, project_name: str) -> "FailedPrecondition":
        """The searches of the project are switched off."""
        return cls("SEARCH_DISABLED", f"searches of project {project_name!r} are switched off", project=project_name)

    @classmethod
    def not_proposed(cls, project_name: str, space: str, proposed: str) -> "FailedPrecondition":
        """The project has no proposal of the space that is to be accepted."""
        what = f"{proposed!r} is" if proposed else "none is"
        message = f"accept_space: space {space!r} is not proposed for project {project_name!r}: {what}"
        return cls("NOT_PROPOSED", message, space=space, proposed=proposed)


class Overloaded(DomainError):
    """All connections are in use, and a call that waited for one would wait too long for its deadline.

    Args:
        waiting: how many calls wait.
        wait_seconds: how long one more would wait.
        retry_seconds: seconds until the client should try again.
    """

    def __init__(self, waiting: int, wait_seconds: float, retry_seconds: float) -> None:
        super().__init__(
            "OVERLOADED",
            f"this searcher is overloaded: {waiting} calls wait for a connection to the database already, and one more"
            f" would wait for {wait_seconds:.3f} s: too long for its deadline; try again in {retry_seconds:.3f} s, or"
            " ask another searcher",
            waiting=waiting,
            wait_seconds=f"{wait_seconds:.3f}",
            retry_seconds=f"{retry_seconds:.3f}",
        )
        self._retry_seconds = retry_seconds

    def details(self) -> Iterable[Message]:
        """Yield when to try again."""
        yield retry_info(self._retry_seconds)


class DatabaseTimeout(DomainError):
    """The caller's deadline, or the searcher's limit for one statement, has passed in PostgreSQL."""

    def __init__(self) -> None:
        super().__init__(
            "DATABASE_TIMEOUT", "the database did not answer before the deadline, or the searcher's --command-timeout"
        )


class DatabaseUnavailable(DomainError):
    """PostgreSQL cannot be reached; this may be temporary."""

    def __init__(self) -> None:
        super().__init__("DATABASE_UNAVAILABLE", "the database cannot be reached at the moment; try again")


class DatabaseError(DomainError):
    """PostgreSQL has refused a statement that it should not refuse. The log has the cause."""

    def __init__(self) -> None:
        super().__init__("DATABASE_ERROR", "the database failed on this request; the searcher's log has the cause")


STATUS = StatusTable(
    {
        InvalidField: grpc.StatusCode.INVALID_ARGUMENT,
        NotFound: grpc.StatusCode.NOT_FOUND,
        AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
        FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
        QuotaExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
        Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
        DatabaseTimeout: grpc.StatusCode.DEADLINE_EXCEEDED,
        DatabaseUnavailable: grpc.StatusCode.UNAVAILABLE,
        DatabaseError: grpc.StatusCode.INTERNAL,
        **REFUSALS,
    }
)
