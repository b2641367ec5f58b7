"""Build responses about images and references."""

from collections.abc import Iterable, Iterator
from typing import Final

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.errors import STATUS
from lookalike_searcher.images.export import Block
from lookalike_searcher.images.image import Image, Listed, Reference, State
from lookalike_serving.errors import DomainError

MAX_REFERENCE_BYTES: Final = 8 * 1024 * 1024
"""All references in one answer together may take so many bytes."""


def indexed(outcome: bool | DomainError) -> wire.EntryResult:
    """Return the result of one entry: whether storing it changed anything, or why it was not stored."""
    if isinstance(outcome, DomainError):
        return wire.EntryResult(error=STATUS.item_error(outcome))
    return wire.EntryResult(indexed=wire.IndexedImage(status=index_status(changed=outcome)))


def acknowledged(request: wire.IndexImagesRequest, results: Iterator[wire.EntryResult]) -> wire.IndexImagesResponse:
    """Return the acknowledgement of a request, which takes one of the results for each of its entries."""
    if request.entries:
        own = [next(results) for _ in request.entries]
        return wire.IndexImagesResponse(sequence=request.sequence, entries=wire.EntryResults(results=own))
    result = next(results)
    if result.HasField("error"):
        return wire.IndexImagesResponse(sequence=request.sequence, error=result.error)
    return wire.IndexImagesResponse(sequence=request.sequence, indexed=result.indexed)


def index_status(*, changed: bool) -> "wire.IndexStatus.ValueType":
    """Return the status of an image that is stored."""
    return wire.INDEX_STATUS_INDEXED if changed else wire.INDEX_STATUS_UNCHANGED


def images(stored: Iterable[Image]) -> list[wire.Image]:
    """Return the messages of images. If the message is full, they have only their first reference."""
    room = MAX_REFERENCE_BYTES
    messages = []
    for image in stored:
        messages.append(_image(image, room))
        room -= messages[-1].ByteSize()
    return messages


def _image(image: Image, room: int) -> wire.Image:
    message = wire.Image(
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        references=listed_references(image.references, room),
        reference_count=image.reference_count,
    )
    message.create_time.FromDatetime(image.create_time)
    return message


def listed_references(references: Iterable[Reference], room: int) -> list[wire.Reference]:
    """Return as many references as there is room for, but at least one."""
    listed: list[wire.Reference] = []
    for message in map(_reference, references):
        room -= message.ByteSize()
        if listed and room < 0:
            break
        listed.append(message)
    return listed


def _reference(reference: Reference) -> wire.Reference:
    return wire.Reference(
        uri=reference.uri,
        product=reference.product,
        variant=reference.variant,
        staged=reference.staged,
        labels=reference.labels,
    )


def states(stored: Iterable[State]) -> wire.CheckReferencesResponse:
    """Return the stored states of references."""
    return wire.CheckReferencesResponse(
        states=[
            wire.ReferenceState(sha256=state.sha256, stamp=state.stamp, same_labels=state.same_labels)
            for state in stored
        ]
    )


def listed(listing: Listed) -> wire.ListedReference:
    """Return a reference by itself, with its image's hash."""
    return wire.ListedReference(reference=_reference(listing.reference), sha256=listing.sha256, stamp=listing.stamp)


def exported(block: Block, resume_token: str) -> wire.ExportVectorsResponse:
    """Return a block of exported vectors, and the token to resume after it."""
    vectors = [
        wire.ImageVector(sha256=vector.sha256, products=vector.products, values=vector.values)
        for vector in block.vectors
    ]
    return wire.ExportVectorsResponse(vectors=vectors, resume_token=resume_token)
