"""Write images: each function is one transaction, during which nobody else writes to the project."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, schema_of, statement, vectors_of
from lookalike_searcher.errors import FailedPrecondition
from lookalike_searcher.images.image import Entry, ReferenceKey
from lookalike_searcher.images.parameters import columns, labels_json
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.projection import Projections, projections_of
from lookalike_searcher.projects.registry import Project
from lookalike_searcher.projects.space import Space
from lookalike_searcher.quota import QuotaExceeded

Refusal = FailedPrecondition | QuotaExceeded
Result = bool | Refusal
"""Whether storing an entry has changed anything, or why it was not stored."""

_KEY = attrgetter("reference.key")
_Vectors = dict[bytes, tuple[int, bytes]]
"""For each image's hash: the place of the first entry that brings its vector in a space, and that vector."""


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


@dataclass
class _Written:
    """A transaction has made these changes so far."""

    changed: set[int] = field(default_factory=set)
    """Places of the entries that have changed anything, as if they were stored one by one."""
    left: set[int] = field(default_factory=set)
    """Images that have lost a reference, and may have no other."""
    references: int = 0
    """References that were added, less those that were deleted."""
    images: int = 0


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
        known = await _known(connection, project, entries)
        refusals = _refusals(project, entries, known, project.limits.max_images or max_images)
        accepted = [entry for entry, refusal in zip(entries, refusals, strict=True) if refusal is None]
        written = _Written()
        await _write(connection, project, accepted, known, written, projections_of(database))
        await _settle(connection, project, written)
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
        FailedPrecondition, QuotaExceeded: an entry cannot be stored, so none is stored.
    """
    async with registry.writing(database, project_name) as (connection, project):
        known = await _known(connection, project, entries)
        _refuse_all(
            project, _refusals(project, entries, known, project.limits.max_images or max_images), entries, known
        )
        written = _Written()
        await _write(connection, project, entries, known, written, projections_of(database))
        deleted_references = await _delete_others(connection, project, product, entries, written)
        deleted_images = await _settle(connection, project, written)
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
        written = _Written(left={row["image_id"] for row in rows}, references=-len(rows))
        return Deleted(len(rows), await _settle(connection, project, written))


def _changed(entries: Sequence[Entry], written: _Written) -> list[bool]:
    return [place in written.changed for place in range(len(entries))]


async def _known(connection: Connection, project: Project, entries: Iterable[Entry]) -> dict[bytes, int]:
    """Return the ids of the images that are stored, by hash."""
    rows = await connection.fetch(statement("image_stored", project.id), list({entry.sha256 for entry in entries}))
    return {row["sha256"]: row["id"] for row in rows}


def _refusals(
    project: Project, entries: Sequence[Entry], known: Mapping[bytes, int], max_images: int
) -> list[Refusal | None]:
    """Return for each entry why it is refused, or None. An entry may rely on a vector that another one brings."""
    needed = project.base(project.serving).name
    written = {space.name for space in project.spaces if not space.source_id}
    foreign = {e.space for entry in entries for e in entry.embeddings} - written
    storable = (
        [entry for entry in entries if foreign.isdisjoint(e.space for e in entry.embeddings)] if foreign else entries
    )
    brought = {entry.sha256 for entry in storable for e in entry.embeddings if e.space == needed}
    room = max_images - project.image_count if max_images else len(entries)
    admitted: set[bytes] = set()
    refusals: list[Refusal | None] = []
    for entry in entries:
        foreign_space = next((e.space for e in entry.embeddings if e.space in foreign), None) if foreign else None
        new = entry.sha256 not in known and entry.sha256 not in admitted
        if foreign_space:
            refusals.append(FailedPrecondition.wrong_space(project.name, needed, foreign_space))
        elif new and entry.sha256 not in brought:
            refusals.append(FailedPrecondition.embedding_needed(project.name, needed, [entry.sha256]))
        elif new and len(admitted) >= room:
            refusals.append(QuotaExceeded.images(project.name, max_images))
        else:
            if new:
                admitted.add(entry.sha256)
            refusals.append(None)
    return refusals


def _refuse_all(
    project: Project, refusals: Sequence[Refusal | None], entries: Sequence[Entry], known: Mapping[bytes, int]
) -> None:
    """Raise the first refusal of any entry. If embeddings are missing, the error names all of them."""
    for refusal in refusals:
        if refusal and refusal.reason == "EMBEDDING_NEEDED":
            missing = [
                entry.sha256
                for entry, other_refusal in zip(entries, refusals, strict=True)
                if other_refusal and other_refusal.reason == refusal.reason and entry.sha256 not in known
            ]
            needed = project.base(project.serving).name
            raise FailedPrecondition.embedding_needed(project.name, needed, list(dict.fromkeys(missing)))
        if refusal:
            raise refusal


async def _write(
    connection: Connection,
    project: Project,
    entries: Sequence[Entry],
    known: Mapping[bytes, int],
    written: _Written,
    projections: Projections,
) -> None:
    """Store images, their vectors, also in derived spaces, and then references. Notes the changes in `written`."""
    last = dict(zip(map(_KEY, entries), entries, strict=True))  # of two entries for a reference, the later one counts
    kept = {entry.sha256 for entry in last.values()} | known.keys()
    new: dict[bytes, Entry] = {}  # in the order of the entries
    for entry in entries:
        if entry.sha256 in kept and entry.sha256 not in known:
            new.setdefault(entry.sha256, entry)
    ids = {**known, **await _insert_images(connection, project, list(new.values()))}
    written.images += len(new)
    for space in project.spaces:
        vectors: _Vectors = {}
        for place, entry in enumerate(entries):
            for embedding in entry.embeddings:
                if embedding.space == space.name:
                    vectors.setdefault(entry.sha256, (place, embedding.vector))
        inserted = await _insert_vectors(connection, project, space, vectors, ids, known, written)
        for derived in project.derived(space) if inserted else ():
            projection = await projections.of(connection, derived.id)
            projected = await projection.of(list(inserted.values()))
            await _copy_vectors(connection, project, derived, dict(zip(inserted, projected, strict=True)))
    await _write_references(connection, project, entries, last, ids, written)


async def _insert_images(connection: Connection, project: Project, entries: Sequence[Entry]) -> dict[bytes, int]:
    if not entries:
        return {}
    rows = await connection.fetch(
        statement("image_insert", project.id),
        [entry.sha256 for entry in entries],
        [entry.width for entry in entries],
        [entry.height for entry in entries],
    )
    return {row["sha256"]: row["id"] for row in rows}


async def _insert_vectors(
    connection: Connection,
    project: Project,
    space: Space,
    vectors: _Vectors,
    ids: Mapping[bytes, int],
    known: Mapping[bytes, int],
    written: _Written,
) -> dict[int, bytes]:
    """Store the vectors that are not stored yet. Only in an incomplete space may a stored image have none.

    Returns:
        The vectors that were stored, by their images.
    """
    coming = {ids[sha256]: vector for sha256, vector in vectors.items() if sha256 in ids}
    old = [ids[sha256] for sha256 in vectors if sha256 in known]
    missing = set()
    if old and not space.complete:
        rows = await connection.fetch(statement("vector_missing", project.id, space.id), old)
        missing = {row["image_id"] for row in rows}
    for image_id in set(old) - missing:
        del coming[image_id]
    written.changed |= {place for place, _ in coming.values()}
    written.changed |= {
        place for sha256, (place, _) in vectors.items() if sha256 not in ids
    }  # replaced by a later entry
    inserted = {image_id: vector for image_id, (_, vector) in coming.items()}
    await _copy_vectors(connection, project, space, inserted)
    return inserted


async def _copy_vectors(connection: Connection, project: Project, space: Space, vectors: Mapping[int, bytes]) -> None:
    if vectors:
        await connection.copy_records_to_table(
            vectors_of(space.id),
            schema_name=schema_of(project.id),
            columns=["image_id", "vector"],
            records=vectors.items(),
        )


async def _write_references(
    connection: Connection,
    project: Project,
    entries: Sequence[Entry],
    last: Mapping[ReferenceKey, Entry],
    ids: Mapping[bytes, int],
    written: _Written,
) -> None:
    """Insert new references, and update stored ones that change their image, labels or stamp."""
    rows = await connection.fetch(statement("reference_existing", project.id), *columns(list(last)))
    existing = {(row["uri"], row["product"], row["variant"], row["staged"]): row for row in rows}
    before = {key: (row["image_id"], json.loads(row["labels"])) for key, row in existing.items()}
    written.changed |= _changing(entries, before, ids)
    fresh: list[tuple[object, ...]] = []
    moved: list[tuple[object, ...]] = []
    for key, entry in last.items():
        image_id = ids[entry.sha256]
        if key not in existing:
            fresh.append((image_id, *key, labels_json(entry.reference), entry.stamp))
            continue
        row = existing[key]
        stamp = entry.stamp or (row["stamp"] if row["image_id"] == image_id else "")
        if (*before[key], row["stamp"]) != (image_id, entry.reference.labels, stamp):
            moved.append((row["id"], image_id, labels_json(entry.reference), stamp))
            written.left |= {row["image_id"]} - {image_id}
    if fresh:
        await connection.copy_records_to_table(
            "image_reference",
            schema_name=schema_of(project.id),
            columns=["image_id", "uri", "product", "variant", "staged", "labels", "stamp"],
            records=fresh,
        )
    if moved:
        await connection.executemany(statement("reference_update", project.id), moved)
    written.references += len(fresh)


def _changing(
    entries: Sequence[Entry], before: Mapping[ReferenceKey, tuple[int, object]], ids: Mapping[bytes, int]
) -> set[int]:
    """Return the places of the entries that change the image or the labels of their reference."""
    shown: dict[ReferenceKey, tuple[object, object]] = {**before}
    changing = set()
    for place, (key, entry) in enumerate(zip(map(_KEY, entries), entries, strict=True)):
        shows = (ids.get(entry.sha256, entry.sha256), entry.reference.labels)  # an image without an id is not stored
        if shown.get(key) != shows:
            changing.add(place)
        shown[key] = shows
    return changing


async def _delete_others(
    connection: Connection, project: Project, product: str, entries: Sequence[Entry], written: _Written
) -> int:
    """Delete the product's references that are not among the entries'. Returns how many."""
    keep = {entry.reference.key for entry in entries}
    rows = await connection.fetch(statement("reference_of_product", project.id), product)
    others = [row["id"] for row in rows if (row["uri"], product, row["variant"], row["staged"]) not in keep]
    if others:
        deleted = await connection.fetch(statement("reference_delete", project.id), others)
        written.left |= {row["image_id"] for row in deleted}
        written.references -= len(deleted)
    return len(others)


async def _settle(connection: Connection, project: Project, written: _Written) -> int:
    """Delete the images that have lost their last reference, and update the counts. Returns how many images."""
    deleted = 0
    if written.left:
        rows = await connection.fetch(statement("image_delete_unreferenced", project.id), list(written.left))
        deleted = len(rows)
    if written.changed or written.left:
        await connection.execute(statement("project_count"), project.id, written.images, deleted, written.references)
    return deleted
