"""Parse searches for duplicates, and what people decide about them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.duplicates.keep_rule import KeepRule
from lookalike_searcher.duplicates.query import PLACE_TYPES, DuplicateQuery, Place
from lookalike_searcher.duplicates.scope import Scope
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.images.filter import Filter
from lookalike_searcher.rpc import page_token
from lookalike_searcher.rpc.parse.search import filter_

_RULES: Final = {
    wire.KEEP_RULE_UNSPECIFIED: KeepRule.LARGEST,
    wire.KEEP_RULE_LARGEST: KeepRule.LARGEST,
    wire.KEEP_RULE_OLDEST: KeepRule.OLDEST,
    wire.KEEP_RULE_MOST_USED: KeepRule.MOST_USED,
}


def duplicates(request: wire.FindDuplicatesRequest) -> tuple[DuplicateQuery, str]:
    """Return the query for duplicates, and the request's digest for resume tokens. Raises InvalidField."""
    request_digest, after = page_token.digest(request, "resume_token"), None
    if request.resume_token:
        after = Place(*page_token.decode(request.resume_token, request_digest, PLACE_TYPES, "resume_token"))
    if request.keep not in _RULES:
        raise InvalidField("keep", "must be a known rule", request.keep)
    similarity = None
    if request.HasField("min_similarity"):
        similarity = validation.between("min_similarity", request.min_similarity, 0.5, 1)
    query = DuplicateQuery(
        project_name=validation.project_name(request.project, "project"),
        min_similarity=similarity,
        same_file_only=request.same_file_only,
        after=after,
        verify=request.verify,
        recoloured=request.recoloured,
        scope=_scope(request),
        keep=_RULES[request.keep],
    )
    return query, request_digest


def merged(request: wire.MergeDuplicatesRequest) -> tuple[bytes, list[bytes]]:
    """Return the image that is kept, and its duplicates. Raises InvalidField."""
    keep = validation.sha256(request.keep_sha256, "keep_sha256")
    validation.at_most("duplicate_sha256s", request.duplicate_sha256s, validation.MAX_NAMED, minimum=1)
    named = _hashes("duplicate_sha256s", request.duplicate_sha256s)
    if keep in named:
        raise InvalidField(f"duplicate_sha256s[{named.index(keep)}]", "must not be the kept image", keep.hex())
    return keep, named


def dismissed(request: wire.DismissDuplicatesRequest | wire.DeleteDismissalsRequest, minimum: int) -> list[bytes]:
    """Return the images that are named, all different and at least `minimum`. Raises InvalidField."""
    validation.at_most("sha256s", request.sha256s, validation.MAX_DISMISSED, minimum=minimum)
    named = _hashes("sha256s", request.sha256s)
    if repeated := next((sha256 for number, sha256 in enumerate(named) if sha256 in named[:number]), None):
        raise InvalidField("sha256s", "must all be different", repeated.hex())
    return named


def _hashes(field: str, values: Sequence[bytes]) -> list[bytes]:
    return [validation.sha256(value, f"{field}[{number}]") for number, value in enumerate(values)]


def _scope(request: wire.FindDuplicatesRequest) -> Scope:
    one = filter_(request.filter) if request.HasField("filter") else Filter()
    other = filter_(request.other, "other") if request.HasField("other") else None
    if request.rest and other is not None:
        raise InvalidField("rest", "must be left out with other", request.rest)
    if request.rest and not one:
        raise InvalidField("rest", "needs a filter", request.rest)
    return Scope(
        filter=one,
        other=other,
        rest=request.rest,
        across_products=request.across_products,
        newer_than=_time(request) if request.HasField("newer_than") else None,
    )


def _time(request: wire.FindDuplicatesRequest) -> datetime:
    try:
        return request.newer_than.ToDatetime(UTC)
    except (ValueError, OverflowError):
        seconds = request.newer_than.seconds
        raise InvalidField("newer_than", "must be a time of the years 1 to 9999", seconds) from None
