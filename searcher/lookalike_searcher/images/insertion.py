"""Insert the rows of images, their vectors, fingerprints and references, within the caller's transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from lookalike_searcher.database.statement import Connection, schema_of, statement, vectors_of
from lookalike_searcher.images.image import Embedding, Entry, ReferenceKey
from lookalike_searcher.images.parameters import columns, labels_json
from lookalike_searcher.projects.project import Project
from lookalike_searcher.projects.projection import Projections
from lookalike_searcher.projects.space import Space
from lookalike_serving.fingerprint import NAME, Fingerprint

_KEY = attrgetter("reference.key")
_Embeddings = dict[bytes, tuple[int, Embedding]]
"""For each image's hash: the place of the first entry that brings its vector in a space, and that vector."""


@dataclass
class Written:
    """A transaction has made these changes so far."""

    changed: set[int] = field(default_factory=set)
    """Places of the entries that have changed anything, as if they were stored one by one."""
    unreferenced: set[int] = field(default_factory=set)
    """Images that have lost a reference, and may have no other."""
    featureless: set[int] = field(default_factory=set)
    """Images of which a vector that was stored says that they are."""
    references: int = 0
    """References that were added, less those that were deleted."""
    images: int = 0


async def write(
    connection: Connection,
    project: Project,
    entries: Sequence[Entry],
    stored_ids: Mapping[bytes, int],
    written: Written,
    projections: Projections,
) -> None:
    """Store images, their vectors, also in derived spaces, their fingerprints, and then references.

    It notes the changes in `written`.
    """
    last = dict(zip(map(_KEY, entries), entries, strict=True))  # of two entries for a reference, the later one counts
    needed = {entry.sha256 for entry in last.values()} | stored_ids.keys()
    new: dict[bytes, Entry] = {}  # in the order of the entries
    for entry in entries:
        if entry.sha256 in needed and entry.sha256 not in stored_ids:
            new.setdefault(entry.sha256, entry)
    ids = {**stored_ids, **await _insert_images(connection, project, list(new.values()))}
    written.images += len(new)
    await _fill_in_sizes(connection, project, entries, stored_ids)
    for space in project.spaces:
        embeddings: _Embeddings = {}
        for place, entry in enumerate(entries):
            for embedding in entry.embeddings:
                if embedding.space == space.name:
                    embeddings.setdefault(entry.sha256, (place, embedding))
        inserted = await _insert_vectors(connection, project, space, embeddings, ids, stored_ids, written)
        for derived in project.derived(space) if inserted else ():
            projection = await projections.of(connection, derived.id)
            projected = await projection.of(list(inserted.values()))
            await _copy_vectors(connection, project, derived, dict(zip(inserted, projected, strict=True)))
    if written.featureless:
        await connection.execute(statement("image_featureless", project.id), list(written.featureless))
    await _insert_fingerprints(connection, project, entries, ids, written)
    await _write_references(connection, project, entries, last, ids, written)


async def _insert_images(connection: Connection, project: Project, entries: Sequence[Entry]) -> dict[bytes, int]:
    if not entries:
        return {}
    rows = await connection.fetch(
        statement("image_insert", project.id),
        [entry.sha256 for entry in entries],
        [entry.width for entry in entries],
        [entry.height for entry in entries],
        [entry.file_size for entry in entries],
    )
    return {row["sha256"]: row["id"] for row in rows}


async def _fill_in_sizes(
    connection: Connection, project: Project, entries: Sequence[Entry], stored_ids: Mapping[bytes, int]
) -> None:
    """Store how large the files of images are that were stored without it."""
    sizes = {stored_ids[entry.sha256]: entry.file_size for entry in entries if entry.sha256 in stored_ids}
    if known := [image_id for image_id, size in sizes.items() if size]:
        rows = await connection.fetch(statement("image_sizeless", project.id), known)
        await connection.executemany(
            statement("image_size", project.id), [(row["id"], sizes[row["id"]]) for row in rows]
        )


async def _insert_vectors(
    connection: Connection,
    project: Project,
    space: Space,
    embeddings: _Embeddings,
    ids: Mapping[bytes, int],
    stored_ids: Mapping[bytes, int],
    written: Written,
) -> dict[int, bytes]:
    """Store the vectors that are not stored yet. Only in an incomplete space may a stored image have none.

    Returns:
        The vectors that were stored, by their images.
    """
    coming = {ids[sha256]: embedding for sha256, embedding in embeddings.items() if sha256 in ids}
    old = [ids[sha256] for sha256 in embeddings if sha256 in stored_ids]
    missing = set()
    if old and not space.complete:
        rows = await connection.fetch(statement("vector_missing", project.id, space.id), old)
        missing = {row["image_id"] for row in rows}
    for image_id in set(old) - missing:
        del coming[image_id]
    written.changed |= {place for place, _ in coming.values()}
    written.changed |= {
        place for sha256, (place, _) in embeddings.items() if sha256 not in ids
    }  # replaced by a later entry
    written.featureless |= {image_id for image_id, (_, embedding) in coming.items() if embedding.featureless}
    inserted = {image_id: embedding.vector for image_id, (_, embedding) in coming.items()}
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


async def _insert_fingerprints(
    connection: Connection, project: Project, entries: Sequence[Entry], ids: Mapping[bytes, int], written: Written
) -> None:
    """Store the fingerprints of images that have none yet, or one of another version, unless they are switched off."""
    coming: dict[int, tuple[int, Fingerprint]] = {}
    for place, entry in enumerate(() if project.fingerprints_disabled else entries):
        if entry.fingerprint and entry.sha256 in ids:
            coming.setdefault(ids[entry.sha256], (place, entry.fingerprint))
    if not coming:
        return
    rows = await connection.fetch(
        statement("fingerprint_insert", project.id),
        list(coming),
        NAME,
        [fingerprint.picture for _, fingerprint in coming.values()],
        [fingerprint.keypoints for _, fingerprint in coming.values()],
    )
    written.changed |= {coming[row["image_id"]][0] for row in rows}


async def _write_references(
    connection: Connection,
    project: Project,
    entries: Sequence[Entry],
    last: Mapping[ReferenceKey, Entry],
    ids: Mapping[bytes, int],
    written: Written,
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
            written.unreferenced |= {row["image_id"]} - {image_id}
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
