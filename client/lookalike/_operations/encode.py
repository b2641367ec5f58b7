"""Turn the library's records into the wire's messages."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import grpc

from lookalike._operations import learning
from lookalike.errors import InvalidRequestError
from lookalike.records import (
    Embedding,
    Example,
    Filter,
    Fingerprint,
    HitVerdict,
    Item,
    Limits,
    Projection,
    Query,
    Reference,
    TuningPolicy,
)
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import searcher_pb2 as wire

_POLICIES: Final[Mapping[TuningPolicy, "wire.TuningPolicy.ValueType"]] = {
    TuningPolicy.OFF: wire.TUNING_POLICY_OFF,
    TuningPolicy.PROPOSE: wire.TUNING_POLICY_PROPOSE,
    TuningPolicy.AUTO: wire.TUNING_POLICY_AUTO,
}


@contextmanager
def sendable(what: str = "request") -> Iterator[None]:
    """Run a block that makes a message of what the caller gave.

    Raises:
        InvalidRequestError: a value has a type, a size or characters that cannot be sent.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        message = f"{what}: {error}"
        raise InvalidRequestError(message, reason="INVALID_FIELD", code=grpc.StatusCode.INVALID_ARGUMENT) from error


def reference(item: Item | Reference) -> wire.Reference:
    """Return the message of an item's reference. Raises InvalidRequestError."""
    with sendable("reference"):
        return wire.Reference(
            uri=item.uri, product=item.product, variant=item.variant, staged=item.staged, labels=item.labels
        )


def embedding(record: Embedding) -> common.Embedding:
    """Return the message of a vector."""
    return common.Embedding(space=record.space, values=record.values, featureless=record.featureless)


def fingerprint(record: Fingerprint) -> common.Fingerprint:
    """Return the message of a fingerprint."""
    return common.Fingerprint(version=record.version, picture=record.picture, keypoints=record.keypoints)


def limits(record: Limits) -> wire.Limits:
    """Return the message of a project's limits. Raises InvalidRequestError."""
    with sendable("limits"):
        return wire.Limits(
            max_images=record.max_images,
            max_hits=record.max_hits,
            searches_per_second=record.searches_per_second,
            max_batch=record.max_batch,
        )


def as_sequence(values: str | Sequence[str]) -> Sequence[str]:
    """Return one value or several as a sequence: a string is one, not a sequence of letters."""
    return [values] if isinstance(values, str) else values


def filter_(record: Filter) -> wire.Filter:
    """Return the message that says which images."""
    return wire.Filter(
        products=as_sequence(record.products),
        variants=as_sequence(record.variants),
        staged=record.staged,
        uri_prefix=record.uri_prefix,
        labels=_label_groups(record),
    )


def _label_groups(record: Filter) -> Iterator[wire.LabelGroup]:
    labels = record.labels
    groups = [{name: labels[name]} for name in labels] if isinstance(labels, Mapping) else labels
    for group in groups:
        any_of = [wire.Label(name=name, value=value) for name in group for value in as_sequence(group[name])]
        yield wire.LabelGroup(any_of=any_of)


def search(project_name: str, query: Query) -> wire.SearchRequest:
    """Return a search without what has to be embedded. Raises InvalidRequestError."""
    with sendable("query"):
        return wire.SearchRequest(
            project=project_name,
            embedding=embedding(query.embedding) if query.embedding else None,
            sha256=bytes.fromhex(query.sha256 or ""),
            uri=query.uri or "",
            positives=map(_example, query.positives),
            negatives=map(_example, query.negatives),
            limit=query.limit,
            filter=filter_(query.filter) if query.filter else None,
            min_similarity=query.min_similarity,
            page_token=query.page_token,
            group_by=wire.GROUPING_PRODUCT if query.group_by_product else wire.GROUPING_UNSPECIFIED,
            exact=query.exact,
            space=query.space or "",
            rerank=0 if query.rerank == "auto" else query.rerank,
            auto_rerank=query.rerank == "auto",
            verify=query.verify,
            fingerprint=_fingerprint(query),
            views=map(embedding, query.embedding.views) if query.thorough and query.embedding else (),
        )


def _fingerprint(query: Query) -> common.Fingerprint | None:
    """Return the fingerprint that came with the query's vector, if hits are verified by it."""
    held = query.embedding.fingerprint if query.verify and query.embedding else None
    return fingerprint(held) if held else None


def verdict(record: HitVerdict) -> wire.HitVerdict:
    """Return the message of what is thought of a hit."""
    value = wire.Verdict.Value(f"VERDICT_{record.verdict.upper()}")
    return wire.HitVerdict(sha256=bytes.fromhex(record.sha256), rank=record.rank, verdict=value)


def _example(record: Example) -> wire.Example:
    if record.embedding is not None:
        return wire.Example(embedding=embedding(record.embedding))
    if record.sha256 is not None:
        return wire.Example(sha256=bytes.fromhex(record.sha256))
    return wire.Example() if record.uri is None else wire.Example(uri=record.uri)


def projection(record: Projection) -> wire.Projection:
    """Return the message of what a space is derived by."""
    return wire.Projection(
        source=record.source,
        matrix=record.matrix,
        centre=record.centre,
        learning=learning.encode(record.learning) if record.learning else None,
        neighbour_count=record.neighbours,
    )


def tuning_policy(record: TuningPolicy) -> "wire.TuningPolicy.ValueType":
    """Return the wire's value of how far a project may be tuned."""
    return _POLICIES[TuningPolicy(record)]
