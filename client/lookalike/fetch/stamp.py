"""Bind stamps to the place that an image is read from, where that is not its name.

The stamp of another place says nothing about an image, though both may be of one second or of one size. A place that
is signed anew each day is the same one: the query of its URL does not count where the host gives an ETag.
"""

import hashlib

from lookalike.fetch.types import storable_stamp


def bound(stamp: str, place: str) -> str:
    """Return the stamp with a digest of the place that it was taken at; empty if it is empty."""
    return storable_stamp(f"{_digest(stamp, place)} {stamp}") if stamp else ""


def unbound(stamp: str, place: str) -> str:
    """Return the stamp that was bound to the place; empty if it was bound to another one, or to none."""
    digest, _, own = stamp.partition(" ")
    return own if own and digest == _digest(own, place) else ""


def _digest(stamp: str, place: str) -> str:
    counts = place.partition("?")[0] if stamp.startswith("etag ") else place
    return hashlib.blake2b(counts.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
