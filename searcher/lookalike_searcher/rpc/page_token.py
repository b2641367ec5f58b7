"""Page tokens: where an answer ended, bound to what was asked. Opaque to callers, and not to be trusted from them."""

import base64
import hashlib
import json
import math
from typing import Any, Final

from google.protobuf.message import Message

from lookalike_searcher.errors import InvalidField

_MAX_BYTES: Final = 4096
"""A product of 256 bytes may take six times as many in JSON, and a third more in base64."""
_MAX_NUMBER: Final = 2**53
"""No id comes so far, and what is added to one, or to a count, has room in PostgreSQL's bigint."""
RULE: Final = "must be what an answer to the same request gave"


def digest(request: Message, *but: str) -> str:
    """What identifies a request, some of its fields left out."""
    asked = type(request)()
    asked.CopyFrom(request)
    for field in but:
        asked.ClearField(field)
    return hashlib.blake2b(asked.SerializeToString(deterministic=True), digest_size=8).hexdigest()


def encode(asked: str, *position: object) -> str:
    """A token: what was asked, and a position of numbers and strings."""
    text = json.dumps([asked, *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode(token: str, asked: str, kinds: tuple[type, ...], field: str = "page_token") -> list[Any]:
    """The position of a token.

    Args:
        token: as the caller sent it.
        asked: what is asked now.
        kinds: the types of the position's parts.
        field: the request's field, for the error.

    Raises:
        InvalidField: it is none of ours, or was given for something else.
    """
    try:
        parts = json.loads(base64.b64decode(token[:_MAX_BYTES], altchars=b"-_", validate=True))
        first, *position = parts if isinstance(parts, list) else [None]
    except (ValueError, RecursionError):  # among them broken base64, broken UTF-8, an empty list
        raise InvalidField(field, RULE, token) from None
    if first != asked or [type(part) for part in position] != list(kinds) or not all(map(_storable, position)):
        raise InvalidField(field, RULE, token)
    return position


def _storable(part: object) -> bool:
    """Whether PostgreSQL takes it, and a little more than it: tokens may be forged."""
    match part:
        case int():
            return 0 <= part < _MAX_NUMBER
        case float():
            return math.isfinite(part)
        case str():
            return "\0" not in part and part == part.encode(errors="ignore").decode()  # no halves of characters
        case _:
            return False
