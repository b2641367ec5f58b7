"""Parse the entries that are to be stored."""

from collections.abc import Iterable, Sequence

from lookalike.v1 import searcher_pb2 as wire
from lookalike_searcher import validation
from lookalike_searcher.errors import InvalidField
from lookalike_searcher.images.image import Entry
from lookalike_searcher.rpc.parse import vector
from lookalike_searcher.rpc.parse.fingerprint import fingerprint
from lookalike_searcher.rpc.parse.reference import reference

AnEntry = wire.IndexImagesRequest | wire.ImageEntry


def entries(messages: Sequence[AnEntry]) -> list[Entry | InvalidField]:
    """Return the entries, or what is wrong with each."""
    results: list[Entry | InvalidField] = []
    for message in messages:
        try:
            results.append(_entry(message))
        except InvalidField as error:
            results.append(error)
    return results


def synced(request: wire.SyncProductRequest, product: str) -> list[Entry]:
    """Return the entries that the product is to show. Raises InvalidField."""
    validation.at_most("entries", request.entries, validation.MAX_SYNCED)
    parsed = []
    for number, message in enumerate(request.entries):
        if message.reference.product not in ("", product):
            field = f"entries[{number}].reference.product"
            raise InvalidField(field, f"must be empty or {product!r}", message.reference.product)
        message.reference.product = product
    for number, entry in enumerate(entries(request.entries)):
        if isinstance(entry, InvalidField):
            raise InvalidField(f"entries[{number}].{entry.field}", entry.rule, entry.value)
        parsed.append(entry)
    return parsed


def one_project(project_name: str, batch: Iterable[wire.IndexImagesRequest]) -> str:
    """Return the name of the stream's project.

    The first request must name it; later ones may not name another. Raises InvalidField.
    """
    for request in batch:
        project_name = project_name or validation.project_name(request.project, "project")
        validation.at_most("entries", request.entries, validation.MAX_ENTRIES)
        if request.project not in ("", project_name):
            raise InvalidField(
                "project", f"must be empty or {project_name!r} after the stream's first request", request.project
            )
    return project_name


def _entry(message: AnEntry) -> Entry:
    validation.at_most("further_embeddings", message.further_embeddings, validation.MAX_FURTHER_EMBEDDINGS)
    own = [vector.embedding(message.embedding)] if message.HasField("embedding") else []
    further = [
        vector.embedding(further, f"further_embeddings[{number}]")
        for number, further in enumerate(message.further_embeddings)
    ]
    embeddings = (*own, *further)
    if len({embedding.space for embedding in embeddings}) < len(embeddings):
        raise InvalidField("further_embeddings", "must each be of another space", [e.space for e in embeddings])
    return Entry(
        sha256=validation.sha256(message.sha256),
        embeddings=embeddings,
        width=validation.side("width", message.width),
        height=validation.side("height", message.height),
        reference=reference(message.reference),
        stamp=validation.stamp("stamp", message.stamp) if message.stamp else "",
        fingerprint=fingerprint(message.fingerprint) if message.HasField("fingerprint") else None,
        file_size=validation.file_size("file_size", message.file_size),
    )
