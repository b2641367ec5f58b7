"""Probes are answered as these models say."""

from typing import Literal

from pydantic import Field

from lookalike_gateway.models.answer import Answer


class Health(Answer):
    """The gateway says how it is."""

    status: Literal["ok", "degraded", "unavailable"] = Field(
        description="`ok`; `degraded` without an embedder; `unavailable` without a searcher."
    )


class Readiness(Health):
    """The gateway says how it and the servers behind it are."""

    embedder: bool = Field(description="Whether one serves.")
    searcher: bool = Field(description="Whether one serves.")
