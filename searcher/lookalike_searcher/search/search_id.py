"""What searches are called, so that feedback can name them although nothing is stored of them."""

import base64
import os
import struct
import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

from lookalike_searcher.errors import InvalidField

_PARTS: Final = struct.Struct(">II8s")
_AHEAD_SECONDS: Final = 300
"""How far another searcher's clock may be ahead of ours."""


class SearchId(NamedTuple):
    """A search: its project's id, when it was made in seconds since 1970, and 8 random bytes.

    It is not signed: searchers share no secret, and whoever may give feedback on a project may as well lie in it.
    """

    project_id: int
    seconds: int
    random: bytes

    @property
    def packed(self) -> bytes:
        """As it is stored: 16 bytes."""
        return _PARTS.pack(*self)

    @property
    def time(self) -> datetime:
        """When the search was made."""
        return datetime.fromtimestamp(self.seconds, UTC)


def issue(project_id: int) -> str:
    """A name for a search of the project that is made now."""
    return text(_PARTS.pack(project_id, int(time.time()), os.urandom(8)))


def text(packed: bytes) -> str:
    """As it goes over the wire: 22 characters."""
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def parse(value: str, field: str) -> SearchId:
    """The search of that name. Raises InvalidField."""
    try:
        found = SearchId(*_PARTS.unpack(base64.b64decode(f"{value}==", altchars=b"-_", validate=True)))
    except (ValueError, struct.error):  # among them broken base64
        raise InvalidField(field, "must be the search_id of a search", value) from None
    if text(found.packed) != value or found.seconds > time.time() + _AHEAD_SECONDS:
        raise InvalidField(field, "must be the search_id of a search", value)
    return found
