"""From the domain's types to responses."""

from typing import Final

from lookalike.status import DomainError
from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.errors import STATUS
from lookalike_searcher.image import Reference
from lookalike_searcher.project import Project
from lookalike_searcher.search import NEAR_DUPLICATE, Hit, Ranking

_MAX_REFERENCE_BYTES: Final = 8 * 1024 * 1024
"""Of all references in one answer together."""


def project(found: Project) -> wire.Project:
    """A project."""
    message = wire.Project(
        name=found.name, space=found.space, image_count=found.image_count, reference_count=found.reference_count
    )
    message.create_time.FromDatetime(found.create_time)
    message.update_time.FromDatetime(found.update_time)
    return message


def indexed(sequence: int, outcome: bool | DomainError) -> wire.IndexImagesResponse:
    """The acknowledgement of one image: whether storing it changed anything, or why it was not stored."""
    if isinstance(outcome, DomainError):
        return wire.IndexImagesResponse(sequence=sequence, error=STATUS.item_error(outcome))
    status = wire.INDEX_STATUS_INDEXED if outcome else wire.INDEX_STATUS_UNCHANGED
    return wire.IndexImagesResponse(sequence=sequence, indexed=wire.IndexedImage(status=status))


def ranking(found: Ranking, query_sha256: bytes | None) -> wire.SearchResponse:
    """The answer to a search. References beyond a hit's first are left out once they would fill the message."""
    room = _MAX_REFERENCE_BYTES
    hits = []
    for hit in found.hits:
        hits.append(_hit(hit, query_sha256, room))
        room -= hits[-1].ByteSize()
    return wire.SearchResponse(
        hits=hits,
        mode=wire.SEARCH_MODE_EXACT,
        images_ranked=found.images_ranked,
    )


def _hit(hit: Hit, query_sha256: bytes | None, room: int) -> wire.Hit:
    listed: list[wire.Reference] = []
    for message in map(_reference, hit.references):
        room -= message.ByteSize()
        if listed and room < 0:
            break
        listed.append(message)
    return wire.Hit(
        similarity=hit.similarity,
        match=_match(hit, query_sha256),
        sha256=hit.sha256,
        width=hit.width,
        height=hit.height,
        references=listed,
        reference_count=hit.reference_count,
    )


def _match(hit: Hit, query_sha256: bytes | None) -> "wire.Match.ValueType":
    if hit.sha256 == query_sha256:
        return wire.MATCH_EXACT
    return wire.MATCH_NEAR_DUPLICATE if hit.similarity >= NEAR_DUPLICATE else wire.MATCH_SIMILAR


def _reference(reference: Reference) -> wire.Reference:
    return wire.Reference(
        uri=reference.uri,
        product=reference.product,
        variant=reference.variant,
        staged=reference.staged,
        labels=reference.labels,
    )
