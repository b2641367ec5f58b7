"""Refuse requests that exceed a limit of their project."""

from collections.abc import Iterable

from google.protobuf.message import Message
from google.rpc import error_details_pb2

from lookalike_serving.errors import DomainError, retry_info


class QuotaExceeded(DomainError):
    """The project is at one of its limits. The message names it, and says what to do.

    Args:
        reason: the reason, which names the limit.
        project_name: the name of the project.
        message: the message.
        retry_seconds: seconds until the next try may succeed; 0 if that does not depend on time.
        metadata: the values in the message.
    """

    def __init__(
        self, reason: str, project_name: str, message: str, retry_seconds: float = 0.0, **metadata: object
    ) -> None:
        if retry_seconds:  # the errors of items have no RetryInfo
            metadata["retry_seconds"] = f"{retry_seconds:.3f}"
        super().__init__(reason, message, project=project_name, **metadata)
        self._project = project_name
        self._retry_seconds = retry_seconds

    def details(self) -> Iterable[Message]:
        """Yield whose quota is exceeded, and when to try again."""
        violation = error_details_pb2.QuotaFailure.Violation(
            subject=f"project:{self._project}", description=self.message
        )
        yield error_details_pb2.QuotaFailure(violations=[violation])
        if self._retry_seconds:
            yield retry_info(self._retry_seconds)

    @classmethod
    def images(cls, project_name: str, limit: int) -> "QuotaExceeded":
        """The project holds as many images as it may."""
        return cls(
            "IMAGE_QUOTA_EXCEEDED",
            project_name,
            f"project {project_name!r} may hold at most {limit} images",
            limit_images=limit,
        )

    @classmethod
    def hits(cls, project_name: str, limit: int, count: int) -> "QuotaExceeded":
        """The search asks for more hits than it may."""
        message = f"limit: a search of project {project_name!r} may ask for at most {limit} hits, got {count}"
        return cls("HIT_QUOTA_EXCEEDED", project_name, message, limit_hits=limit)

    @classmethod
    def batch(cls, project_name: str, limit: int, count: int) -> "QuotaExceeded":
        """The batch has more searches of the project than it may."""
        message = f"requests: a batch may hold at most {limit} searches of project {project_name!r}, got {count}"
        return cls("BATCH_QUOTA_EXCEEDED", project_name, message, limit_batch=limit)

    @classmethod
    def searches(cls, project_name: str, limit: float, retry_seconds: float) -> "QuotaExceeded":
        """The project makes more searches a second than it may."""
        return cls(
            "SEARCH_QUOTA_EXCEEDED",
            project_name,
            f"project {project_name!r} may make {limit:g} searches a second; try again in {retry_seconds:.3f} s",
            retry_seconds,
            limit_searches_per_second=limit,
        )

    @classmethod
    def feedback(cls, project_name: str, limit: int) -> "QuotaExceeded":
        """The project holds feedback on as many searches as it may."""
        message = f"project {project_name!r} may hold feedback on at most {limit} searches; delete old feedback"
        return cls("FEEDBACK_QUOTA_EXCEEDED", project_name, message, limit_feedback=limit)

    @classmethod
    def verdicts(cls, project_name: str, limit: int) -> "QuotaExceeded":
        """The search has feedback on as many hits as it may."""
        message = f"a search of project {project_name!r} may have feedback on at most {limit} hits"
        return cls("FEEDBACK_QUOTA_EXCEEDED", project_name, message, limit_verdicts=limit)

    @classmethod
    def busy(cls, project_name: str, waiting: int, wait_seconds: float, retry_seconds: float) -> "QuotaExceeded":
        """Calls on the project wait already, and one more would wait too long for its deadline."""
        return cls(
            "PROJECT_BUSY",
            project_name,
            f"{waiting} calls on project {project_name!r} wait at this searcher already, and one more would wait for"
            f" {wait_seconds:.3f} s: too long for its deadline; try again in {retry_seconds:.3f} s",
            retry_seconds,
            waiting=waiting,
            wait_seconds=f"{wait_seconds:.3f}",
        )
