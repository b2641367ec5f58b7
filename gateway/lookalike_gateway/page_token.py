"""Encode page tokens of searches. They carry the query and the photo's vector: nobody has to embed it again."""

import base64
import binascii
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError

from lookalike._operations.decode import embedding
from lookalike._operations.encode import search
from lookalike.records import Query
from lookalike.v1 import searcher_pb2 as wire
from lookalike_gateway.problems import invalid

_OFFSET: Final = struct.Struct(">I")


@dataclass(frozen=True)
class Page:
    """A page says where a search goes on.

    Attributes:
        query: what is asked: those of `Query`'s fields that say it.
        offset: how many hits came before.
        page_token: the searcher's own token; empty for the first page.
    """

    query: Mapping[str, Any]
    offset: int = 0
    page_token: str = ""


def encode(page: Page) -> str:
    """Return the page as a token: some 3 kB with a vector of 512 numbers, 22 kB with one of 4,000."""
    request = search("", Query(**page.query, limit=0, page_token=page.page_token))
    packed = _OFFSET.pack(min(page.offset, 2**32 - 1)) + request.SerializeToString()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode(token: str) -> Page:
    """Return the page that the token stands for. Raises Refused."""
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        [offset] = _OFFSET.unpack_from(packed)
        request = wire.SearchRequest.FromString(packed[_OFFSET.size :])
    except (binascii.Error, ValueError, struct.error, DecodeError):
        raise invalid("page_token", "must be a `nextPageToken` of ours", token) from None
    query = _query(request)
    if not request.page_token or not query:
        raise invalid("page_token", "must be a `nextPageToken` of ours", token)
    return Page(query, offset, request.page_token)


def _query(request: wire.SearchRequest) -> dict[str, Any]:
    """What is asked: by a vector, perhaps with its file's hash, or by an image of the project."""
    sha256 = {"sha256": request.sha256.hex()} if request.sha256 else {}
    if request.HasField("embedding"):
        return {"embedding": embedding(request.embedding), **sha256}
    return {"uri": request.uri} if request.uri else sha256
