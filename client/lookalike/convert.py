"""From the wire's messages to the library's records, and back."""

from datetime import UTC
from typing import Final

import grpc

from lookalike.errors import InvalidRequestError
from lookalike.records import (
    Embedding,
    Hit,
    Item,
    Match,
    Model,
    Project,
    Reference,
    SearchMode,
)
from lookalike.v1 import common_pb2 as common
from lookalike.v1 import embedder_pb2, searcher_pb2

_MATCHES: Final = {
    searcher_pb2.MATCH_EXACT: Match.EXACT,
    searcher_pb2.MATCH_NEAR_DUPLICATE: Match.NEAR_DUPLICATE,
    searcher_pb2.MATCH_SIMILAR: Match.SIMILAR,
}
_MODES: Final = {searcher_pb2.SEARCH_MODE_EXACT: SearchMode.EXACT}


def model(message: embedder_pb2.GetModelResponse) -> Model:
    """The embedder's model."""
    return Model(
        space=message.space,
        dimensions=message.dimensions,
        architecture=message.architecture,
        weights_sha256=message.weights_sha256,
        device=message.device,
        precision=message.precision,
        max_batch_size=message.max_batch_size,
        max_image_bytes=message.max_image_bytes,
        max_image_pixels=message.max_image_pixels,
        formats=tuple(message.formats),
    )


def embedding(message: common.Embedding) -> Embedding:
    """A vector."""
    return Embedding(message.space, tuple(message.values))


def embedding_message(record: Embedding) -> common.Embedding:
    """A vector, for the wire."""
    return common.Embedding(space=record.space, values=record.values)


def reference_message(item: Item) -> searcher_pb2.Reference:
    """Where an item's image is used, for the wire."""
    return searcher_pb2.Reference(
        uri=item.uri, product=item.product, variant=item.variant, staged=item.staged, labels=item.labels
    )


def search_request(
    project_name: str, embedding: common.Embedding | None, sha256: str | None, limit: int
) -> searcher_pb2.SearchRequest:
    """A search, for the wire.

    Raises:
        InvalidRequestError: a value cannot be sent.
    """
    try:
        return searcher_pb2.SearchRequest(
            project=project_name, embedding=embedding, sha256=bytes.fromhex(sha256 or ""), limit=limit
        )
    except ValueError as error:  # hexadecimal digits that are none, a limit of more than 32 bits
        raise InvalidRequestError(str(error), reason="INVALID_FIELD", code=grpc.StatusCode.INVALID_ARGUMENT) from error


def project(message: searcher_pb2.Project) -> Project:
    """A project."""
    return Project(
        name=message.name,
        space=message.space,
        image_count=message.image_count,
        reference_count=message.reference_count,
        create_time=message.create_time.ToDatetime(tzinfo=UTC),
        update_time=message.update_time.ToDatetime(tzinfo=UTC),
    )


def hit(message: searcher_pb2.Hit) -> Hit:
    """A hit."""
    return Hit(
        similarity=message.similarity,
        match=_MATCHES.get(message.match, Match.SIMILAR),
        sha256=message.sha256.hex(),
        width=message.width,
        height=message.height,
        references=tuple(_reference(reference) for reference in message.references),
        reference_count=message.reference_count,
    )


def mode(value: "searcher_pb2.SearchMode.ValueType") -> SearchMode:
    """How a ranking was made."""
    return _MODES.get(value, SearchMode.OTHER)


def _reference(message: searcher_pb2.Reference) -> Reference:
    return Reference(message.uri, message.product, message.variant, message.staged, dict(message.labels))
