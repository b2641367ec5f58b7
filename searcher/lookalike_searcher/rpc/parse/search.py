"""Parse searches, their queries and filters."""

from typing import Final

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.images.filter import Filter
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.rpc import page_token
from lookalike_searcher.rpc.parse import vector
from lookalike_searcher.rpc.parse.fingerprint import fingerprint
from lookalike_searcher.search import reranking, search_id
from lookalike_searcher.search.query import Example, Query
from lookalike_searcher.search.types import POSITION_TYPES, Position, Search
from lookalike_serving.fingerprint import Fingerprint

_GROUPINGS: Final = frozenset(wire.Grouping.values())


def search(request: wire.SearchRequest) -> tuple[Search, str]:
    """Return the search, and the request's digest for page tokens. Raises InvalidField."""
    if request.group_by not in _GROUPINGS:
        raise InvalidField("group_by", "must be a known value", request.group_by)
    views = _views(request)
    verify, given = _taken_out(request)
    request_digest, after, issued_id = page_token.digest(request, "page_token", "limit"), None, ""
    if request.page_token:
        *position, issued_id = page_token.decode(request.page_token, request_digest, (*POSITION_TYPES, str))
        after = Position(*position)
        _check_search_id(issued_id, after.project_id, request.page_token)
    similarity = request.min_similarity if request.HasField("min_similarity") else -1.0
    parsed = Search(
        project_name=validation.project_name(request.project, "project"),
        query=_query(request),
        limit=limit(request.limit),
        space=validation.space(request.space) if request.space else "",
        filter=filter_(request.filter) if request.HasField("filter") else Filter(),
        min_similarity=validation.between("min_similarity", similarity, -1, 1),
        by_product=request.group_by == wire.GROUPING_PRODUCT,
        exact=request.exact,
        rerank=_rerank(request),
        after=after,
        search_id=issued_id,
        verify=verify,
        fingerprint=given,
        views=views,
    )
    return parsed, request_digest


def _views(request: wire.SearchRequest) -> tuple[Embedding, ...]:
    """Return the vectors of the query's views, which go with few other fields."""
    if not request.views:
        return ()
    if not request.verify:
        raise InvalidField("views", "needs verify", len(request.views))
    if request.page_token:
        raise InvalidField("page_token", "must be empty with views: there is one page", request.page_token)
    if request.rerank:
        raise InvalidField("rerank", "must be 0 with views", request.rerank)
    if request.auto_rerank:
        raise InvalidField("auto_rerank", "must be left out with views", request.auto_rerank)
    if request.group_by:
        raise InvalidField("group_by", "must be left out with views", request.group_by)
    validation.at_most("views", request.views, validation.MAX_VIEWS)
    return tuple(vector.embedding(view, f"views[{n}]") for n, view in enumerate(request.views))


def _taken_out(request: wire.SearchRequest) -> tuple[int, Fingerprint | None]:
    """Take out of the request how many hits to verify, and by what: it may be another on each page."""
    verify, given = int(validation.between("verify", request.verify, 0, validation.MAX_VERIFIED)), None
    if request.HasField("fingerprint"):
        given = fingerprint(request.fingerprint)
        request.ClearField("fingerprint")
    request.ClearField("verify")
    return verify, given


def _check_search_id(issued_id: str, project_id: int, token: str) -> None:
    """Check that a token has the id of a search in this project: tokens may be forged. Raises InvalidField."""
    try:
        forged = search_id.parse(issued_id, "page_token").project_id != project_id
    except InvalidField:
        forged = True
    if forged:
        raise InvalidField("page_token", page_token.RULE, token)


def _rerank(request: wire.SearchRequest) -> int:
    """Return how many of the nearest images to re-rank."""
    if request.auto_rerank:
        if request.rerank:
            raise InvalidField("rerank", "must be left out with auto_rerank", request.rerank)
        return reranking.DEPTH
    return int(validation.between("rerank", request.rerank, 0, validation.MAX_LIMIT))


def limit(value: int) -> int:
    """Return how many hits to return; 0 stands for the default."""
    if not 0 <= value <= validation.MAX_LIMIT:
        rule = f"must be 1 to {validation.MAX_LIMIT}, or 0 for {validation.DEFAULT_LIMIT}"
        raise InvalidField("limit", rule, value)
    return value or validation.DEFAULT_LIMIT


def filter_(message: wire.Filter, field: str = "filter") -> Filter:
    """Return the filter, in which empty fields mean no condition; `field` is what the request calls it."""
    validation.at_most(f"{field}.products", message.products, validation.MAX_NAMED)
    validation.at_most(f"{field}.variants", message.variants, validation.MAX_NAMED)
    validation.at_most(f"{field}.labels", message.labels, validation.MAX_LABEL_GROUPS)
    prefix = message.uri_prefix
    return Filter(
        products=tuple(validation.product(f"{field}.products[{n}]", value) for n, value in enumerate(message.products)),
        variants=tuple(validation.product(f"{field}.variants[{n}]", value) for n, value in enumerate(message.variants)),
        staged=message.staged if message.HasField("staged") else None,
        uri_prefix=validation.uri(f"{field}.uri_prefix", prefix) if prefix else "",
        labels=tuple(_group(f"{field}.labels[{n}].any_of", group) for n, group in enumerate(message.labels)),
    )


def _group(field: str, group: wire.LabelGroup) -> tuple[tuple[str, str], ...]:
    validation.at_most(field, group.any_of, validation.MAX_LABELS, minimum=1)
    return tuple(validation.label(field, label.name, label.value) for label in group.any_of)


def _query(request: wire.SearchRequest) -> Query:
    """Return the query, which must be given in exactly one way."""
    by_vector = request.HasField("embedding")
    by_hash = bool(request.sha256) and not by_vector
    if by_vector + by_hash + bool(request.uri) + bool(request.positives) != 1:
        rule = "exactly one of embedding, sha256, uri and positives is required"
        query_fields = {descriptor.name for descriptor, _ in request.ListFields()} & {
            "embedding",
            "sha256",
            "uri",
            "positives",
        }
        raise InvalidField("embedding", rule, sorted(query_fields))
    if request.negatives and not request.positives:
        raise InvalidField("negatives", "needs positives", len(request.negatives))
    sha256 = validation.sha256(request.sha256) if request.sha256 else b""
    if by_vector:
        return Query((Example(embedding=vector.embedding(request.embedding)),), sha256=sha256)
    if by_hash:
        return Query((Example(sha256=sha256),))
    if request.uri:
        return Query((Example(uri=validation.uri("uri", request.uri)),))
    validation.at_most("positives", request.positives, validation.MAX_EXAMPLES)
    validation.at_most("negatives", request.negatives, validation.MAX_EXAMPLES)
    positives = tuple(_example(f"positives[{n}]", message) for n, message in enumerate(request.positives))
    negatives = tuple(_example(f"negatives[{n}]", message) for n, message in enumerate(request.negatives))
    return Query(positives, negatives, leave_out=True)


def _example(field: str, message: wire.Example) -> Example:
    match message.WhichOneof("example"):
        case "embedding":
            return Example(embedding=vector.embedding(message.embedding, f"{field}.embedding"))
        case "sha256":
            return Example(sha256=validation.sha256(message.sha256, f"{field}.sha256"))
        case "uri":
            return Example(uri=validation.uri(f"{field}.uri", message.uri))
        case _:
            raise InvalidField(field, "must be an embedding, a sha256 or a uri")
