"""Write images: each function is one transaction, during which nobody else writes to the project."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.errors import FailedPrecondition, InvalidField
from lookalike_searcher.images.image import Embedding, Entry, ReferenceKey
from lookalike_searcher.images.insertion import Written, write
from lookalike_searcher.images.parameters import columns
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.projection import projections_of
from lookalike_searcher.quota import QuotaExceeded

Refusal = FailedPrecondition | InvalidField | QuotaExceeded
Result = bool | Refusal
"""Whether storing an entry has changed anything, or why it was not stored."""


@dataclass(frozen=True)
class Deleted:
    """The numbers are those of deleted references, and of images that were deleted with their last reference."""

    references: int
    images: int


@dataclass(frozen=True)
class Names:
    """The references to delete are named by URI, by product, by their image's hash, or one by one."""

    uris: Sequence[str] = ()
    products: Sequence[str] = ()
    sha256s: Sequence[bytes] = ()
    references: Sequence[ReferenceKey] = ()


async def store(database: Database, project_name: str, entries: Sequence[Entry], max_images: int = 0) -> list[Result]:
    """Store the entries as if one by one, in one transaction. Returns a result for each.

    Args:
        database: the database of the project.
        project_name: the name of the project.
        entries: the entries to store.
        max_images: the most images that the project may hold if it has no limit of its own; 0 for any number.

    Raises:
        NotFound: there is no such project.
    """
    async with registry.writing(database, project_name) as (connection, project):
        stored_ids = await _stored_ids(connection, project, entries)
        refusals = _refusals(project, entries, stored_ids, project.limits.max_images or max_images)
        accepted = [entry for entry, refusal in zip(entries, refusals, strict=True) if refusal is None]
        written = Written()
        await write(connection, project, accepted, stored_ids, written, projections_of(database))
        await settle(connection, project, written)
    changed = iter(_changed(accepted, written))
    return [refusal or next(changed) for refusal in refusals]


async def sync(
    database: Database, project_name: str, product: str, entries: Sequence[Entry], max_images: int = 0
) -> tuple[list[bool], Deleted]:
    """Make the product show the entries, which are its references, and nothing else.

    Returns:
        Whether each entry has changed anything, and what was deleted.

    Raises:
        NotFound: there is no such project.
        FailedPrecondition, InvalidField, QuotaExceeded: an entry cannot be stored, so none is stored.
    """
    async with registry.writing(database, project_name) as (connection, project):
        stored_ids = await _stored_ids(connection, project, entries)
        _refuse_all(
            project,
            _refusals(project, entries, stored_ids, project.limits.max_images or max_images),
            entries,
            stored_ids,
        )
        written = Written()
        await write(connection, project, entries, stored_ids, written, projections_of(database))
        deleted_references = await _delete_others(connection, project, product, entries, written)
        deleted_images = await settle(connection, project, written)
    return _changed(entries, written), Deleted(deleted_references, deleted_images)


async def delete(database: Database, project_name: str, names: Names) -> Deleted:
    """Delete the named references that exist, and images without others. Raises NotFound if there is no project."""
    async with registry.writing(database, project_name) as (connection, project):
        rows = await connection.fetch(
            statement("reference_delete_named", project.id),
            names.uris,
            names.products,
            names.sha256s,
            *columns(names.references),
        )
        written = Written(unreferenced={row["image_id"] for row in rows}, references=-len(rows))
        return Deleted(len(rows), await settle(connection, project, written))


def _changed(entries: Sequence[Entry], written: Written) -> list[bool]:
    return [place in written.changed for place in range(len(entries))]


async def _stored_ids(connection: Connection, project: Project, entries: Iterable[Entry]) -> dict[bytes, int]:
    """Return the ids of the images that are stored, by hash."""
    rows = await connection.fetch(statement("image_stored", project.id), list({entry.sha256 for entry in entries}))
    return {row["sha256"]: row["id"] for row in rows}


def _refusals(
    project: Project, entries: Sequence[Entry], stored_ids: Mapping[bytes, int], max_images: int
) -> list[Refusal | None]:
    """Return for each entry why it is refused, or None. An entry may rely on a vector that another one brings."""
    needed = project.base(project.serving).name
    unfit = _unfit(project, needed, {_kind(e) for entry in entries for e in entry.embeddings})
    storable = (
        [entry for entry in entries if unfit.keys().isdisjoint(map(_kind, entry.embeddings))] if unfit else entries
    )
    brought = {entry.sha256 for entry in storable for e in entry.embeddings if e.space == needed}
    room = max_images - project.image_count if max_images else len(entries)
    admitted: set[bytes] = set()
    refusals: list[Refusal | None] = []
    for entry in entries:
        refusal = next((unfit[_kind(e)] for e in entry.embeddings if _kind(e) in unfit), None) if unfit else None
        new = entry.sha256 not in stored_ids and entry.sha256 not in admitted
        if refusal:
            refusals.append(refusal)
        elif new and entry.sha256 not in brought:
            refusals.append(FailedPrecondition.embedding_needed(project.name, needed, [entry.sha256]))
        elif new and len(admitted) >= room:
            refusals.append(QuotaExceeded.images(project.name, max_images))
        else:
            if new:
                admitted.add(entry.sha256)
            refusals.append(None)
    return refusals


def _kind(embedding: Embedding) -> tuple[str, int]:
    """Return a vector's space, and its size in bytes: all that says whether a project takes it."""
    return embedding.space, len(embedding.vector)


def _unfit(project: Project, needed: str, kinds: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Refusal]:
    """Return why some kinds of vectors are refused: the space is not the project's, or has other dimensions."""
    written = {space.name: space for space in project.spaces if not space.source_id}
    unfit: dict[tuple[str, int], Refusal] = {}
    for kind in kinds:
        space, size = kind
        if space not in written:
            unfit[kind] = FailedPrecondition.wrong_space(project.name, needed, space)
        elif misfit := written[space].misfit(size):
            unfit[kind] = misfit
    return unfit


def _refuse_all(
    project: Project, refusals: Sequence[Refusal | None], entries: Sequence[Entry], stored_ids: Mapping[bytes, int]
) -> None:
    """Raise the first refusal of any entry. If embeddings are missing, the error names all of them."""
    for refusal in refusals:
        if refusal and refusal.reason == "EMBEDDING_NEEDED":
            missing = [
                entry.sha256
                for entry, other_refusal in zip(entries, refusals, strict=True)
                if other_refusal and other_refusal.reason == refusal.reason and entry.sha256 not in stored_ids
            ]
            needed = project.base(project.serving).name
            raise FailedPrecondition.embedding_needed(project.name, needed, list(dict.fromkeys(missing)))
        if refusal:
            raise refusal


async def _delete_others(
    connection: Connection, project: Project, product: str, entries: Sequence[Entry], written: Written
) -> int:
    """Delete the product's references that are not among the entries'. Returns how many."""
    keep = {entry.reference.key for entry in entries}
    rows = await connection.fetch(statement("reference_of_product", project.id), product)
    others = [row["id"] for row in rows if (row["uri"], product, row["variant"], row["staged"]) not in keep]
    if others:
        deleted = await connection.fetch(statement("reference_delete", project.id), others)
        written.unreferenced |= {row["image_id"] for row in deleted}
        written.references -= len(deleted)
    return len(others)


async def settle(connection: Connection, project: Project, written: Written) -> int:
    """Delete the images that have lost their last reference, and update the counts; of how many images."""
    deleted = 0
    if written.unreferenced:
        rows = await connection.fetch(statement("image_delete_unreferenced", project.id), list(written.unreferenced))
        deleted = len(rows)
    if written.changed or written.unreferenced:
        await connection.execute(statement("project_count"), project.id, written.images, deleted, written.references)
    return deleted
