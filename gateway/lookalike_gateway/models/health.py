"""Probes are answered as these models say."""

from typing import Literal

from pydantic import Field

from lookalike_gateway.models.answer import Answer


class Health(Answer):
    """The gateway says how it is."""

    status: Literal["ok", "unavailable"] = Field(description="`ok`, or `unavailable`.")


class Readiness(Health):
    """The gateway says how it and the servers behind it are."""

    embedder: bool = Field(description="Whether it answers.")
    searcher: bool = Field(description="Whether it answers.")
