"""From requests to the domain's own types: every request is checked here, field by field, and nowhere else."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np

from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import export as exporting
from lookalike_searcher import search_id, token, validation
from lookalike_searcher.duplicates import PLACE_TYPES, Asked, Place
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.feedback import Judged, Verdict
from lookalike_searcher.filter import Filter
from lookalike_searcher.image import Embedding, Entry, Reference
from lookalike_searcher.project import Limits
from lookalike_searcher.projection import FLOATS
from lookalike_searcher.query import Example, Query
from lookalike_searcher.search import NEAR_DUPLICATE, POSITION_TYPES, Position, Search
from lookalike_searcher.search_id import SearchId
from lookalike_searcher.spaces import Derivation
from lookalike_searcher.store import Names
from lookalike_searcher.vector import DIMENSIONS, encode

_MAX_LABELS: Final = 64
_MAX_LABEL_GROUPS: Final = 16
_MAX_EXAMPLES: Final = 100
_MAX_FURTHER_EMBEDDINGS: Final = 4
_MAX_STAMP: Final = 256
_MAX_JUDGED: Final = 100
_MAX_VERDICTS: Final = 100
_MAX_RANK: Final = 1_000_000
MAX_ENTRIES: Final = 512
MAX_SYNCED: Final = 1_000
_GROUPINGS: Final = frozenset(wire.Grouping.values())
_LENGTH_TOLERANCE: Final = 0.01
_LEAST_RANK: Final = 16
"""Of a projection: in fewer dimensions, photos that have nothing in common are as near as those of one product."""
_NEGLIGIBLE: Final = 1e-6
"""Of a projection: by so much less than its first a singular value counts for nothing."""

AnEntry = wire.IndexImagesRequest | wire.ImageEntry


def limits(message: wire.Limits, field: str = "limits") -> Limits:
    """A project's limits."""
    return Limits(
        max_images=int(validation.between(f"{field}.max_images", message.max_images, 0, 2**53)),
        max_hits=int(validation.between(f"{field}.max_hits", message.max_hits, 0, validation.MAX_LIMIT)),
        searches_per_second=validation.between(
            f"{field}.searches_per_second", message.searches_per_second, 0, 1_000_000
        ),
        max_batch=int(validation.between(f"{field}.max_batch", message.max_batch, 0, validation.MAX_BATCH)),
    )


def update(request: wire.UpdateProjectRequest) -> tuple[Limits | None, bool | None]:
    """A project's new limits, and whether its searches are to be switched off; None: they stay."""
    limits_given, switched = request.HasField("limits"), request.HasField("search_disabled")
    if not limits_given and not switched:
        raise InvalidField("limits", "is required, or else search_disabled", None)
    return limits(request.limits) if limits_given else None, request.search_disabled if switched else None


def hashes(request: wire.CheckImagesRequest) -> list[bytes]:
    """The hashes to look up."""
    validation.at_most("sha256s", request.sha256s, validation.MAX_HASHES)
    return [validation.sha256(value, f"sha256s[{number}]") for number, value in enumerate(request.sha256s)]


def names(request: wire.DeleteImagesRequest) -> Names:
    """What to delete."""
    count = len(request.uris) + len(request.products) + len(request.sha256s) + len(request.references)
    if not 1 <= count <= validation.MAX_NAMED:
        rule = f"together with products, sha256s and references, must be 1 to {validation.MAX_NAMED}"
        raise InvalidField("uris", rule, count)
    return Names(
        uris=[validation.uri(f"uris[{number}]", value) for number, value in enumerate(request.uris)],
        products=[validation.product(f"products[{n}]", value, least=1) for n, value in enumerate(request.products)],
        sha256s=[validation.sha256(value, f"sha256s[{number}]") for number, value in enumerate(request.sha256s)],
        references=[one.key for one in _references(request.references)],
    )


def after(
    request: wire.ListImagesRequest | wire.ListReferencesRequest | wire.ListFeedbackRequest,
) -> tuple[str, tuple[int, int] | None]:
    """What identifies the request in page tokens; and of the last one on the page before, its project's and own id."""
    asked = token.digest(request, "page_token", "page_size")
    if not request.page_token:
        return asked, None
    project_id, own_id = token.decode(request.page_token, asked, (int, int))
    return asked, (project_id, own_id)


def possible(messages: Sequence[wire.Reference]) -> list[Reference | None]:
    """Several references; None for one that breaks a rule, and so cannot be stored."""
    validation.at_most("references", messages, validation.MAX_NAMED)
    found: list[Reference | None] = []
    for message in messages:
        try:
            found.append(_reference(message))
        except InvalidField:
            found.append(None)
    return found


def _references(messages: Sequence[wire.Reference]) -> list[Reference]:
    found = []
    for number, message in enumerate(messages):
        try:
            found.append(_reference(message))
        except InvalidField as error:
            field = f"references[{number}]{error.field.removeprefix('reference')}"
            raise InvalidField(field, error.rule, error.value) from None
    return found


def search(request: wire.SearchRequest) -> tuple[Search, str]:
    """What to search for, and what identifies the request in page tokens."""
    if request.group_by not in _GROUPINGS:
        raise InvalidField("group_by", "must be a known value", request.group_by)
    asked, after, called = token.digest(request, "page_token", "limit"), None, ""
    if request.page_token:
        *position, called = token.decode(request.page_token, asked, (*POSITION_TYPES, str))
        after = Position(*position)
    similarity = request.min_similarity if request.HasField("min_similarity") else -1.0
    found = Search(
        project=validation.project_name(request.project, "project"),
        query=_query(request),
        limit=limit(request.limit),
        space=validation.space(request.space) if request.space else "",
        filter=filter_(request.filter) if request.HasField("filter") else Filter(),
        min_similarity=validation.between("min_similarity", similarity, -1, 1),
        by_product=request.group_by == wire.GROUPING_PRODUCT,
        exact=request.exact,
        rerank=_rerank(request),
        after=after,
        search_id=called,
    )
    return found, asked


def _rerank(request: wire.SearchRequest) -> int:
    """How many of the nearest to re-rank."""
    if request.rerank and request.page_token:
        raise InvalidField(
            "page_token", "must be empty where hits are re-ranked: there is one page", request.page_token
        )
    return int(validation.between("rerank", request.rerank, 0, validation.MAX_LIMIT))


def limit(value: int) -> int:
    """How many hits to return."""
    if not 0 <= value <= validation.MAX_LIMIT:
        rule = f"must be 1 to {validation.MAX_LIMIT}, or 0 for {validation.DEFAULT_LIMIT}"
        raise InvalidField("limit", rule, value)
    return value or validation.DEFAULT_LIMIT


def filter_(message: wire.Filter) -> Filter:
    """Which images."""
    validation.at_most("filter.products", message.products, validation.MAX_NAMED)
    validation.at_most("filter.variants", message.variants, validation.MAX_NAMED)
    validation.at_most("filter.labels", message.labels, _MAX_LABEL_GROUPS)
    prefix = message.uri_prefix
    return Filter(
        products=tuple(validation.product(f"filter.products[{n}]", value) for n, value in enumerate(message.products)),
        variants=tuple(validation.product(f"filter.variants[{n}]", value) for n, value in enumerate(message.variants)),
        staged=message.staged if message.HasField("staged") else None,
        uri_prefix=validation.uri("filter.uri_prefix", prefix) if prefix else "",
        labels=tuple(_group(f"filter.labels[{n}].any_of", group) for n, group in enumerate(message.labels)),
    )


def _group(field: str, group: wire.LabelGroup) -> tuple[tuple[str, str], ...]:
    validation.at_most(field, group.any_of, _MAX_LABELS, least=1)
    return tuple(validation.label(field, label.name, label.value) for label in group.any_of)


def _query(request: wire.SearchRequest) -> Query:
    """What to rank by: exactly one of the ways to say it."""
    by_vector = request.HasField("embedding")
    by_hash = bool(request.sha256) and not by_vector
    if by_vector + by_hash + bool(request.uri) + bool(request.positives) != 1:
        rule = "exactly one of embedding, sha256, uri and positives is required"
        given = {descriptor.name for descriptor, _ in request.ListFields()} & {
            "embedding",
            "sha256",
            "uri",
            "positives",
        }
        raise InvalidField("embedding", rule, sorted(given))
    if request.negatives and not request.positives:
        raise InvalidField("negatives", "needs positives", len(request.negatives))
    sha256 = validation.sha256(request.sha256) if request.sha256 else b""
    if by_vector:
        return Query((Example(embedding=_embedding(request.embedding)),), sha256=sha256)
    if by_hash:
        return Query((Example(sha256=sha256),))
    if request.uri:
        return Query((Example(uri=validation.uri("uri", request.uri)),))
    validation.at_most("positives", request.positives, _MAX_EXAMPLES)
    validation.at_most("negatives", request.negatives, _MAX_EXAMPLES)
    positives = tuple(_example(f"positives[{n}]", message) for n, message in enumerate(request.positives))
    negatives = tuple(_example(f"negatives[{n}]", message) for n, message in enumerate(request.negatives))
    return Query(positives, negatives, leave_out=True)


def _example(field: str, message: wire.Example) -> Example:
    match message.WhichOneof("example"):
        case "embedding":
            return Example(embedding=_embedding(message.embedding, f"{field}.embedding"))
        case "sha256":
            return Example(sha256=validation.sha256(message.sha256, f"{field}.sha256"))
        case "uri":
            return Example(uri=validation.uri(f"{field}.uri", message.uri))
        case _:
            raise InvalidField(field, "must be an embedding, a sha256 or a uri", None)


def entries(messages: Sequence[AnEntry]) -> list[Entry | InvalidField]:
    """The images to store, or what is wrong with each. Their vectors are converted together, which is much quicker."""
    embeddings = [[m.embedding] * m.HasField("embedding") + list(m.further_embeddings) for m in messages]
    vectors = iter(_embeddings([message for of_entry in embeddings for message in of_entry]))
    results: list[Entry | InvalidField] = []
    for message, of_entry in zip(messages, embeddings, strict=True):
        own = [next(vectors) for _ in of_entry]
        try:
            results.append(_entry(message, own))
        except InvalidField as error:
            results.append(error)
    return results


def synced(request: wire.SyncProductRequest, product: str) -> list[Entry]:
    """The images that the product is to show."""
    validation.at_most("entries", request.entries, MAX_SYNCED)
    found = []
    for number, message in enumerate(request.entries):
        if message.reference.product not in ("", product):
            field = f"entries[{number}].reference.product"
            raise InvalidField(field, f"must be empty or {product!r}", message.reference.product)
        message.reference.product = product
    for number, entry in enumerate(entries(request.entries)):
        if isinstance(entry, InvalidField):
            raise InvalidField(f"entries[{number}].{entry.field}", entry.rule, entry.value)
        found.append(entry)
    return found


def _entry(message: AnEntry, embeddings: Sequence[Embedding | InvalidField]) -> Entry:
    validation.at_most("further_embeddings", message.further_embeddings, _MAX_FURTHER_EMBEDDINGS)
    for embedding in embeddings:
        if isinstance(embedding, InvalidField):
            raise embedding
    valid = tuple(embedding for embedding in embeddings if isinstance(embedding, Embedding))
    if len({embedding.space for embedding in valid}) < len(valid):
        raise InvalidField("further_embeddings", "must each be of another space", [e.space for e in valid])
    return Entry(
        sha256=validation.sha256(message.sha256),
        embeddings=valid,
        width=validation.side("width", message.width),
        height=validation.side("height", message.height),
        reference=_reference(message.reference),
        stamp=validation.text("stamp", message.stamp, least=0, most=_MAX_STAMP) if message.stamp else "",
    )


def _reference(message: wire.Reference) -> Reference:
    labels = dict(message.labels)
    if len(labels) > _MAX_LABELS:
        raise InvalidField("reference.labels", f"must be at most {_MAX_LABELS}", len(labels))
    for name, value in labels.items():
        validation.label("reference.labels", name, value)
    return Reference(
        uri=validation.uri("reference.uri", message.uri),
        product=validation.product("reference.product", message.product),
        variant=validation.product("reference.variant", message.variant),
        staged=message.staged,
        labels=labels,
    )


def _embedding(message: common.Embedding, field: str = "embedding") -> Embedding:
    [found] = _embeddings([message], field)
    if isinstance(found, InvalidField):
        raise found
    return found


def _embeddings(messages: Sequence[common.Embedding], field: str = "embedding") -> list[Embedding | InvalidField]:
    """The vectors, or what is wrong with each."""
    sized = [message for message in messages if len(message.values) == DIMENSIONS]
    matrix = np.frombuffer(b"".join(map(_floats, sized)), FLOATS).reshape(-1, DIMENSIONS)
    with np.errstate(all="ignore"):  # what overflows is refused
        lengths = iter(np.sqrt(np.square(matrix).sum(axis=1, dtype=np.float64)).tolist())
        halves = iter(encode(matrix))
    results: list[Embedding | InvalidField] = []
    for message in messages:
        if len(message.values) != DIMENSIONS:
            found = f"{len(message.values)} numbers"
            results.append(InvalidField(f"{field}.values", f"must be {DIMENSIONS} numbers", found))
            continue
        length, half = next(lengths), next(halves)
        if not abs(length - 1) <= _LENGTH_TOLERANCE:  # also refuses NaN and infinity
            rule = "must be finite and of length 1, within 1 %"
            results.append(InvalidField(f"{field}.values", rule, f"length {length:g}"))
            continue
        try:
            results.append(Embedding(validation.space(message.space, f"{field}.space"), half))
        except InvalidField as error:
            results.append(error)
    return results


def _floats(message: common.Embedding) -> bytes:
    """The vector as little-endian floats.

    They end the message's own bytes, and are taken from there, as reading numbers one by one costs ten times as much.
    """
    data = message.SerializeToString()
    size = DIMENSIONS * FLOATS.itemsize
    name = len(message.space.encode())
    head = (2 if name < 128 else 3) + name if name else 0
    if len(data) == head + 3 + size:
        return data[-size:]
    return np.fromiter(message.values, FLOATS, DIMENSIONS).tobytes()  # the message has fields that we do not know


def one_project(project: str, batch: Iterable[wire.IndexImagesRequest]) -> str:
    """The stream's project: named by its first request, and by no other differently. No request is too large."""
    for request in batch:
        project = project or validation.project_name(request.project, "project")
        validation.at_most("entries", request.entries, MAX_ENTRIES)
        if request.project not in ("", project):
            raise InvalidField(
                "project", f"must be empty or {project!r} after the stream's first request", request.project
            )
    return project


def duplicates(request: wire.FindDuplicatesRequest) -> tuple[Asked, str]:
    """What duplicates to find, and what identifies the request in resume tokens."""
    asked, after = token.digest(request, "resume_token"), None
    if request.resume_token:
        after = Place(*token.decode(request.resume_token, asked, PLACE_TYPES, "resume_token"))
    similarity = request.min_similarity if request.HasField("min_similarity") else NEAR_DUPLICATE
    found = Asked(
        project=validation.project_name(request.project, "project"),
        min_similarity=validation.between("min_similarity", similarity, 0.5, 1),
        same_file_only=request.same_file_only,
        after=after,
    )
    return found, asked


def feedback(request: wire.RecordFeedbackRequest) -> list[Judged]:
    """The searches with their verdicts, each once: of two on the same hit, the later one counts."""
    validation.at_most("searches", request.searches, _MAX_JUDGED, least=1)
    count = sum(len(one.verdicts) for one in request.searches)
    if count > validation.MAX_NAMED:
        raise InvalidField("searches", f"must hold at most {validation.MAX_NAMED} verdicts in all", count)
    found: dict[SearchId, Judged] = {}
    for number, message in enumerate(request.searches):
        where = f"searches[{number}]"
        search = search_id.parse(message.search_id, f"{where}.search_id")
        judged = found.setdefault(search, Judged(search))
        _judge(judged, message, where)
    return list(found.values())


def _judge(judged: Judged, message: wire.SearchFeedback, where: str) -> None:
    """Add what a message says."""
    if message.query_sha256 and message.query_uri:
        raise InvalidField(f"{where}.query_uri", "must be left out with query_sha256", message.query_uri)
    if message.query_sha256:
        judged.sha256, judged.uri = validation.sha256(message.query_sha256, f"{where}.query_sha256"), ""
    if message.query_uri:
        judged.sha256, judged.uri = b"", validation.uri(f"{where}.query_uri", message.query_uri)
    if message.HasField("query_embedding"):
        judged.embedding = _embedding(message.query_embedding, f"{where}.query_embedding")
    validation.at_most(f"{where}.verdicts", message.verdicts, _MAX_VERDICTS, least=1)
    for number, one in enumerate(message.verdicts):
        field = f"{where}.verdicts[{number}]"
        sha256 = validation.sha256(one.sha256, f"{field}.sha256")
        judged.verdicts[sha256] = _verdict(one, field).after(judged.verdicts.get(sha256))


def _verdict(message: wire.HitVerdict, field: str) -> Verdict:
    rank = int(validation.between(f"{field}.rank", message.rank, 1, _MAX_RANK))
    match message.verdict:
        case wire.VERDICT_RIGHT | wire.VERDICT_WRONG:
            return Verdict(rank, right=message.verdict == wire.VERDICT_RIGHT)
        case wire.VERDICT_CLICKED:
            return Verdict(rank, clicked=True)
        case _:
            raise InvalidField(f"{field}.verdict", "must be RIGHT, WRONG or CLICKED", message.verdict)


def deleted_feedback(request: wire.DeleteFeedbackRequest) -> tuple[list[SearchId], datetime | None]:
    """The searches whose feedback is to be deleted, and before when."""
    by_time = request.HasField("search_time_before")
    validation.at_most("search_ids", request.search_ids, validation.MAX_NAMED, least=0 if by_time else 1)
    named = [search_id.parse(value, f"search_ids[{number}]") for number, value in enumerate(request.search_ids)]
    if not by_time:
        return named, None
    try:
        return named, request.search_time_before.ToDatetime(UTC)
    except (ValueError, OverflowError):
        seconds = request.search_time_before.seconds
        raise InvalidField("search_time_before", "must be a time of the years 1 to 9999", seconds) from None


def derivation(request: wire.CreateSpaceRequest) -> Derivation:
    """What a space is to be derived by. Takes a fifth of a second."""
    message = request.projection
    source = validation.space(message.source, "projection.source")
    matrix = _numbers("projection.matrix", message.matrix, DIMENSIONS * DIMENSIONS).reshape(DIMENSIONS, DIMENSIONS)
    centre = _numbers("projection.centre", message.centre, DIMENSIONS)
    length = float(np.linalg.norm(centre.astype(np.float64)))
    if length > 1 + _LENGTH_TOLERANCE:
        raise InvalidField("projection.centre", "must be at most of length 1", f"length {length:g}")
    rank = int(np.linalg.matrix_rank(matrix.astype(np.float64), rtol=_NEGLIGIBLE))
    if rank < _LEAST_RANK:
        raise InvalidField("projection.matrix", f"must be at least of rank {_LEAST_RANK}", f"rank {rank}")
    return Derivation(source, matrix.tobytes(), centre.tobytes())


def _numbers(field: str, values: Sequence[float], count: int) -> np.ndarray:
    if len(values) != count:
        raise InvalidField(field, f"must be {count} numbers", f"{len(values)} numbers")
    numbers = np.fromiter(values, FLOATS, count)
    if not np.isfinite(numbers).all():
        raise InvalidField(field, "must be finite", f"{count - int(np.isfinite(numbers).sum())} that are not")
    return numbers


def export(request: wire.ExportVectorsRequest) -> tuple[exporting.Asked, str]:
    """Which vectors to read, and what identifies the request in resume tokens."""
    asked, after = token.digest(request, "resume_token"), None
    if request.resume_token:
        after = exporting.Place(*token.decode(request.resume_token, asked, exporting.PLACE_TYPES, "resume_token"))
    found = exporting.Asked(
        project=validation.project_name(request.project, "project"),
        space=validation.space(request.space) if request.space else "",
        fraction=validation.between("fraction", request.fraction, 0, 1),
        after=after,
    )
    return found, asked
