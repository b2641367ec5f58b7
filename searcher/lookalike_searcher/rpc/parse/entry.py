"""What is to be stored."""

from collections.abc import Iterable, Sequence

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.images.image import Embedding, Entry
from lookalike_searcher.rpc.parse import vector
from lookalike_searcher.rpc.parse.reference import reference

AnEntry = wire.IndexImagesRequest | wire.ImageEntry


def entries(messages: Sequence[AnEntry]) -> list[Entry | InvalidField]:
    """The images to store, or what is wrong with each. Their vectors are converted together, which is much quicker."""
    embeddings = [[m.embedding] * m.HasField("embedding") + list(m.further_embeddings) for m in messages]
    vectors = iter(vector.embeddings([message for of_entry in embeddings for message in of_entry]))
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
    validation.at_most("entries", request.entries, validation.MAX_SYNCED)
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


def one_project(project: str, batch: Iterable[wire.IndexImagesRequest]) -> str:
    """The stream's project: named by its first request, and by no other differently. No request is too large."""
    for request in batch:
        project = project or validation.project_name(request.project, "project")
        validation.at_most("entries", request.entries, validation.MAX_ENTRIES)
        if request.project not in ("", project):
            raise InvalidField(
                "project", f"must be empty or {project!r} after the stream's first request", request.project
            )
    return project


def _entry(message: AnEntry, embeddings: Sequence[Embedding | InvalidField]) -> Entry:
    validation.at_most("further_embeddings", message.further_embeddings, validation.MAX_FURTHER_EMBEDDINGS)
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
        reference=reference(message.reference),
        stamp=validation.stamp("stamp", message.stamp) if message.stamp else "",
    )
