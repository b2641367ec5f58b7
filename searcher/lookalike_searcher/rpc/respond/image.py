"""Build responses about images and references."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher.errors import STATUS
from lookalike_searcher.images.export import Block
from lookalike_searcher.images.image import Image, Listed, Reference, State
from lookalike_serving.errors import DomainError

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

    Listing = RepeatedCompositeFieldContainer[wire.Reference]

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
        message = wire.Image(
            sha256=image.sha256,
            width=image.width,
            height=image.height,
            reference_count=image.reference_count,
            featureless=image.featureless,
            file_size=image.file_size,
        )
        message.create_time.FromDatetime(image.create_time)
        room = add_references(message.references, image.references, room)
        messages.append(message)
    return messages


def add_references(listed: "Listing", references: Iterable[Reference], room: int) -> int:
    """Add as many references as there is room for, but at least one. Returns the room that is left, in bytes.

    They are made in their place: to pass messages to the constructor of another copies them.
    """
    for reference in references:
        message = listed.add()
        _fill(message, reference)
        size = message.ByteSize()
        if size > room and len(listed) > 1:
            del listed[-1]
            break
        room -= size
    return room


def _fill(message: wire.Reference, reference: Reference) -> None:
    message.uri, message.product, message.variant, message.staged, labels = reference
    if labels:
        own = message.labels
        for name, value in labels.items():  # `update` takes twice as long
            own[name] = value


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
    message = wire.ListedReference(sha256=listing.sha256, stamp=listing.stamp)
    _fill(message.reference, listing.reference)
    return message


def exported(block: Block, resume_token: str) -> wire.ExportVectorsResponse:
    """Return a block of exported vectors, and the token to resume after it."""
    vectors = [
        wire.ImageVector(
            sha256=vector.sha256,
            products=vector.products,
            values=vector.values,
            featureless=vector.featureless,
            variants=vector.variants,
            label_values=vector.label_values,
        )
        for vector in block.vectors
    ]
    return wire.ExportVectorsResponse(vectors=vectors, resume_token=resume_token)
