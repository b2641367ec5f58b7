"""Storing images and their references, many in one transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pgvector import HalfVector

from lookalike_searcher import project as registry
from lookalike_searcher.database import Database
from lookalike_searcher.errors import FailedPrecondition
from lookalike_searcher.project import Project
from lookalike_searcher.statement import Connection, statement

DIMENSIONS: Final = 512
"""Of every vector; the column's type says so too."""

ReferenceKey = tuple[str, str, str, bool]


@dataclass(frozen=True)
class Embedding:
    """A vector, of DIMENSIONS components and length 1, and its space."""

    space: str
    vector: HalfVector


@dataclass(frozen=True)
class Reference:
    """A place where an image is used, identified by everything but its labels."""

    uri: str
    product: str
    variant: str
    staged: bool
    labels: Mapping[str, str]

    @property
    def key(self) -> ReferenceKey:
        """What identifies it."""
        return (self.uri, self.product, self.variant, self.staged)


@dataclass(frozen=True)
class Entry:
    """An image and one reference to it, to be stored. The embedding may be missing if the image is stored."""

    sha256: bytes
    embedding: Embedding | None
    width: int
    height: int
    reference: Reference


Result = bool | FailedPrecondition
"""Whether storing an entry changed anything, or why it was not stored."""


async def stored(database: Database, project: str, sha256s: Sequence[bytes]) -> list[bytes]:
    """Those of the hashes that the project holds. Raises NotFound."""
    async with database.reading() as connection, registry.found(connection, project) as found:
        return await _stored(connection, found, sha256s)


async def store(database: Database, project: str, entries: Sequence[Entry]) -> list[Result]:
    """Store the entries in one transaction, as if one after the other; a result for each, when it is committed.

    Raises:
        NotFound: there is no such project.
    """
    async with database.writing() as connection:
        locked = await registry.lock(connection, project)
        vectors = {
            entry.sha256: entry for entry in entries if entry.embedding and entry.embedding.space == locked.space
        }
        known = set(await _stored(connection, locked, [entry.sha256 for entry in entries]))
        refusals = [_refusal(locked, entry, known | vectors.keys()) for entry in entries]
        accepted = [entry for entry, refusal in zip(entries, refusals, strict=True) if refusal is None]
        changed = await _store_accepted(connection, locked, accepted, known, vectors)
    return [refusal or entry.reference.key in changed for entry, refusal in zip(entries, refusals, strict=True)]


def _refusal(project: Project, entry: Entry, available: set[bytes]) -> FailedPrecondition | None:
    if entry.embedding and entry.embedding.space != project.space:
        return FailedPrecondition.wrong_space(project.name, project.space, entry.embedding.space)
    if entry.sha256 not in available:
        return FailedPrecondition.embedding_needed(project.name, entry.sha256)
    return None


async def _store_accepted(
    connection: Connection,
    project: Project,
    accepted: Sequence[Entry],
    known: set[bytes],
    vectors: Mapping[bytes, Entry],
) -> set[ReferenceKey]:
    """Store images, then references; the keys of the references that changed."""
    last = {entry.reference.key: entry for entry in accepted}  # of two entries for one reference the later one counts
    needed = {entry.sha256 for entry in last.values()} - known
    await _insert_images(connection, project, [vectors[sha256] for sha256 in vectors if sha256 in needed])
    coming = _columns(list(last.values()))
    displaced = await connection.fetch(statement("reference_displaced", project.id), *coming[:5])
    changed = await connection.fetch(statement("reference_upsert", project.id), *coming)
    deleted = await _delete_unreferenced(connection, project, [row["id"] for row in displaced])
    if changed:
        references_added = sum(row["inserted"] for row in changed)
        await connection.execute(statement("project_count"), project.id, len(needed) - deleted, references_added)
    return {(row["uri"], row["product"], row["variant"], row["staged"]) for row in changed}


async def _stored(connection: Connection, project: Project, sha256s: Sequence[bytes]) -> list[bytes]:
    rows = await connection.fetch(statement("image_stored", project.id), list(set(sha256s)))
    return [row["sha256"] for row in rows]


async def _delete_unreferenced(connection: Connection, project: Project, image_ids: Sequence[int]) -> int:
    """Delete those of the images that have lost their last reference; how many."""
    if not image_ids:
        return 0
    return len(await connection.fetch(statement("image_delete_unreferenced", project.id), image_ids))


async def _insert_images(connection: Connection, project: Project, entries: Sequence[Entry]) -> None:
    if entries:
        await connection.execute(
            statement("image_insert", project.id),
            [entry.sha256 for entry in entries],
            [entry.embedding.vector for entry in entries if entry.embedding],
            [entry.width for entry in entries],
            [entry.height for entry in entries],
        )


def _columns(entries: Sequence[Entry]) -> tuple[list[object], ...]:
    """The entries, column by column, as the statements about references take them."""
    references = [entry.reference for entry in entries]
    return (
        [entry.sha256 for entry in entries],
        [reference.uri for reference in references],
        [reference.product for reference in references],
        [reference.variant for reference in references],
        [reference.staged for reference in references],
        [json.dumps(dict(reference.labels), sort_keys=True) for reference in references],
    )
