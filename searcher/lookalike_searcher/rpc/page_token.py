"""Make page tokens: the position where an answer ended, bound to its request. Clients may forge them."""

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
"""All ids are lower; a sum with an id or a count still fits PostgreSQL's bigint."""
_JSON: Final = json.JSONEncoder(separators=(",", ":"))
RULE: Final = "must be what an answer to the same request gave"


def digest(request: Message, *but: str) -> str:
    """Return a digest that identifies a request, without the fields of `but`."""
    left_out = {field: getattr(request, field) for field in but}
    for field in but:
        request.ClearField(field)
    data = request.SerializeToString(deterministic=True)
    for field, value in left_out.items():  # put back: to copy the request instead takes thrice as long
        setattr(request, field, value)
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def encode(request_digest: str, *position: object) -> str:
    """Return a token from the request's digest and a position of numbers and strings."""
    text = _JSON.encode([request_digest, *position])
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode(token: str, request_digest: str, kinds: tuple[type, ...], field: str = "page_token") -> list[Any]:
    """Return the position that a token holds.

    Args:
        token: the token that the caller sent.
        request_digest: the digest of the current request.
        kinds: the types of the position's parts.
        field: the request's field, for the error.

    Raises:
        InvalidField: the token is not ours, or is of another request.
    """
    try:
        parts = json.loads(base64.b64decode(token[:_MAX_BYTES], altchars=b"-_", validate=True))
        first, *position = parts if isinstance(parts, list) else [None]
    except (ValueError, RecursionError):  # such as broken base64, broken UTF-8, an empty list
        raise InvalidField(field, RULE, token) from None
    if first != request_digest or [type(part) for part in position] != list(kinds) or not all(map(_storable, position)):
        raise InvalidField(field, RULE, token)
    return position


def _storable(part: object) -> bool:
    """Return whether PostgreSQL can store the value, and a little more: tokens may be forged."""
    match part:
        case int():
            return 0 <= part < _MAX_NUMBER
        case float():
            return math.isfinite(part)
        case str():
            return "\0" not in part and part == part.encode(errors="ignore").decode()  # no lone surrogates
        case _:
            return False
