"""Read and write the HTTP headers that tell an image's version and when to retry."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from lookalike.fetch.types import storable_stamp

_MAX_WAIT_SECONDS: Final = 3600.0
"""A host's Retry-After is followed up to this many seconds."""


def conditional_headers(stamp: str) -> dict[str, str]:
    """Return the headers that ask for an image only if it has changed since the stamp was taken."""
    kind, _, value = stamp.partition(" ")
    if kind == "etag":
        return {"If-None-Match": value}
    return {"If-Modified-Since": value} if kind == "date" else {}


def stamp_of(headers: Mapping[str, str]) -> str:
    """Return the stamp of an HTTP response; empty if its headers do not tell the version."""
    if etag := headers.get("ETag"):
        return storable_stamp(f"etag {etag}")
    date = headers.get("Last-Modified")
    return storable_stamp(f"date {date}") if date else ""


def retry_after(value: str) -> float:
    """Return the seconds of a Retry-After header, which has seconds or a date; 0 if it has neither."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return 0.0
    return min(max(0.0, seconds), _MAX_WAIT_SECONDS)
