"""Refusals go out as these models say."""

from pydantic import Field

from lookalike_gateway.models.answer import Answer


class Violation(Answer):
    """A violation is one rule that is broken."""

    field: str = Field(description="Where.")
    detail: str = Field(description="What.")


class Problem(Answer):
    """A problem says what went wrong (RFC 9457)."""

    type: str = Field(default="about:blank", description="`about:blank`: `reason` tells problems apart.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="A sentence that names field, limit and value.")
    reason: str = Field(description="A stable name, for example PROJECT_NOT_FOUND; empty where a server gave none.")
    violations: list[Violation] = Field(description="What is wrong with the request, by parameter or field.")
    metadata: dict[str, str] = Field(description="The sentence's values, by name.")
    request_id: str = Field(description="By which the servers' logs can be searched.")
