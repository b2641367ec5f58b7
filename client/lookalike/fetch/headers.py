"""What the headers of HTTP say: of an image's version, and of when to come again."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from lookalike.fetch.types import kept

_MAX_WAIT_SECONDS: Final = 3600.0
"""The most that a host's Retry-After is followed."""


def conditions(stamp: str) -> dict[str, str]:
    """What asks for an image only if it is another one than the stamp's."""
    kind, _, value = stamp.partition(" ")
    if kind == "etag":
        return {"If-None-Match": value}
    return {"If-Modified-Since": value} if kind == "date" else {}


def stamp_of(headers: Mapping[str, str]) -> str:
    """The stamp of an answer; empty if it says nothing of its version."""
    if etag := headers.get("ETag"):
        return kept(f"etag {etag}")
    date = headers.get("Last-Modified")
    return kept(f"date {date}") if date else ""


def retry_after(value: str) -> float:
    """The seconds of a Retry-After, which has them, or a date; 0 if it makes no sense."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return 0.0
    return min(max(0.0, seconds), _MAX_WAIT_SECONDS)
