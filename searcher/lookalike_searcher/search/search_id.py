"""Name searches, so that feedback can refer to them although nothing is stored of them."""

import base64
import os
import struct
import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

from lookalike_searcher.errors import InvalidField

_PARTS: Final = struct.Struct(">II8s")
_AHEAD_SECONDS: Final = 300
"""Another searcher's clock may be ahead of ours by so much."""


class SearchId(NamedTuple):
    """The id of a search has its project's id, its time in seconds since 1970, and 8 random bytes.

    It is not signed: searchers share no secret, and a caller who may give feedback on a project may also lie in it.
    """

    project_id: int
    seconds: int
    random: bytes

    @property
    def packed(self) -> bytes:
        """Return the id as it is stored, in 16 bytes."""
        return _PARTS.pack(*self)

    @property
    def time(self) -> datetime:
        """Return when the search was made."""
        return datetime.fromtimestamp(self.seconds, UTC)


def issue(project_id: int) -> str:
    """Return an id for a search of the project that is made now."""
    return text(_PARTS.pack(project_id, int(time.time()), os.urandom(8)))


def text(packed: bytes) -> str:
    """Return the id as it is on the wire, in 22 characters."""
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def parse(value: str, field: str) -> SearchId:
    """Return the id that the text holds. Raises InvalidField if it is not valid."""
    try:
        search = SearchId(*_PARTS.unpack(base64.b64decode(f"{value}==", altchars=b"-_", validate=True)))
    except (ValueError, struct.error):  # such as broken base64
        raise InvalidField(field, "must be the search_id of a search", value) from None
    if text(search.packed) != value or search.seconds > time.time() + _AHEAD_SECONDS:
        raise InvalidField(field, "must be the search_id of a search", value)
    return search
