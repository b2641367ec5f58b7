"""Keep feedback: what users thought of the hits of searches, and how good searches are by that."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.errors import FailedPrecondition, InvalidField, Measure, NotFound
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.images.reading import ended_at
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.project import Project
from lookalike_searcher.quota import QuotaExceeded
from lookalike_searcher.search.search_id import SearchId

MAX_HITS: Final = 1_000
"""Feedback on a search may be about so many hits at most."""


@dataclass(frozen=True)
class Verdict:
    """A verdict is about one hit; `right` is None if it says neither right nor wrong."""

    rank: int
    right: bool | None = None
    clicked: bool = False

    def after(self, before: "Verdict | None") -> "Verdict":
        """Return both verdicts together: the later right or wrong counts, and a click stays."""
        if before is None:
            return self
        right = before.right if self.right is None else self.right
        return replace(self, right=right, clicked=self.clicked or before.clicked)

    def news(self, before: "Verdict | None") -> tuple[str, ...]:
        """Return what this verdict adds to the one before: `right`, `wrong`, `clicked`, or nothing."""
        before = before or Verdict(0)
        judged = {True: "right", False: "wrong", None: ""}[self.right]
        additions = [judged] * (self.right != before.right) + ["clicked"] * (self.clicked and not before.clicked)
        return tuple(additions)


@dataclass
class Judged:
    """The feedback on a search has its query, as far as it is known, and the verdicts on its hits, by hash."""

    search: SearchId
    sha256: bytes = b""
    uri: str = ""
    embedding: Embedding | None = None
    verdicts: dict[bytes, Verdict] = field(default_factory=dict)


@dataclass(frozen=True)
class Hit:
    """The hit has a verdict; `stored` says whether the project still holds its image."""

    sha256: bytes
    verdict: Verdict
    stored: bool
    update_time: datetime


@dataclass(frozen=True)
class Feedback:
    """The feedback is all that is stored on a search; `id` is its position in the list."""

    id: int
    search_id: bytes
    search_time: datetime
    query_sha256: bytes
    query_stored: bool
    embedding: Embedding | None
    hits: tuple[Hit, ...]


async def record(
    database: Database, project_name: str, judged: Sequence[Judged], *, max_feedback: int, kept_for: timedelta | None
) -> list[str]:
    """Store verdicts, all or none of them.

    Args:
        database: the database of the project.
        project_name: the name of the project.
        judged: the searches, each once.
        max_feedback: on how many searches the project may hold feedback; 0 for any number.
        kept_for: how long feedback is kept; None: without limit.

    Returns:
        The changes: `right`, `wrong` or `clicked` for each.

    Raises:
        NotFound: there is no such project, or no image at a query's URI.
        InvalidField: a search was made in another project, or too long ago, or a query's vector does not fit its space.
        FailedPrecondition: a query's vector is not in a space of the project.
        QuotaExceeded: the project would hold feedback on too many searches, or a search on too many hits.
    """
    async with registry.writing(database, project_name) as (connection, project):
        _check(project, judged, kept_for)
        await _resolve(connection, project, judged)
        ids = [feedback.search.packed for feedback in judged]
        recorded = {row["search_id"] for row in await connection.fetch(statement("feedback_known", project.id), ids)}
        count = await connection.fetchval(statement("feedback_count"), project.id, len(judged) - len(recorded))
        if max_feedback and count > max_feedback and len(recorded) < len(judged):
            raise QuotaExceeded.feedback(project.name, max_feedback)
        await connection.executemany(statement("feedback_insert", project.id), map(_row, judged))
        return await _write(connection, project, judged, await _verdicts(connection, project, ids))


def _check(project: Project, judged: Iterable[Judged], kept_for: timedelta | None) -> None:
    """Refuse feedback on searches of other projects or spaces, and feedback that would be deleted at once."""
    spaces = {space.name: space for space in project.spaces}
    for number, feedback in enumerate(judged):
        where = f"searches[{number}].search_id"
        if feedback.search.project_id != project.id:
            raise InvalidField(where, f"must be of a search in project {project.name!r}", feedback.search.packed.hex())
        if kept_for and feedback.search.time < datetime.now(UTC) - kept_for:
            raise InvalidField(
                where, f"must be of a search of the last {kept_for.days} days", Measure(f"{feedback.search.time:%F}")
            )
        if embedding := feedback.embedding:
            if embedding.space not in spaces:
                raise FailedPrecondition.wrong_space(project.name, project.space, embedding.space)
            if misfit := spaces[embedding.space].misfit(len(embedding.vector)):
                raise InvalidField(f"searches[{number}].query_{misfit.field}", misfit.rule, misfit.value)


async def _resolve(connection: Connection, project: Project, judged: Iterable[Judged]) -> None:
    """Set the hashes of queries that are given by URI."""
    if uris := {feedback.uri for feedback in judged if feedback.uri}:
        rows = await connection.fetch(statement("feedback_query_at", project.id), list(uris))
        hashes = {row["uri"]: row["sha256"] for row in rows}
        for feedback in judged:
            if feedback.uri and feedback.uri not in hashes:
                raise NotFound.image_at(project.name, feedback.uri)
            feedback.sha256 = hashes.get(feedback.uri, feedback.sha256)


def _row(feedback: Judged) -> tuple[object, ...]:
    space, vector, _ = feedback.embedding or (None, None, False)
    return feedback.search.packed, feedback.search.time, feedback.sha256 or None, space, vector


async def _verdicts(
    connection: Connection, project: Project, ids: Sequence[bytes]
) -> dict[bytes, dict[bytes, Verdict]]:
    """Return the stored verdicts of the searches, by the hashes of the hits."""
    stored: defaultdict[bytes, dict[bytes, Verdict]] = defaultdict(dict)
    for row in await connection.fetch(statement("verdict_known", project.id), ids):
        stored[row["search_id"]][row["sha256"]] = _verdict(row)
    return stored


async def _write(
    connection: Connection,
    project: Project,
    judged: Iterable[Judged],
    stored: Mapping[bytes, Mapping[bytes, Verdict]],
) -> list[str]:
    """Write the verdicts that add something. Returns what they add."""
    rows: list[tuple[object, ...]] = []
    news: list[str] = []
    for feedback in judged:
        before = stored.get(feedback.search.packed, {})
        if len(before.keys() | feedback.verdicts.keys()) > MAX_HITS:
            raise QuotaExceeded.verdicts(project.name, MAX_HITS)
        for sha256, verdict in feedback.verdicts.items():
            now = verdict.after(before.get(sha256))
            if additions := now.news(before.get(sha256)):
                news += additions
                rows.append((feedback.search.packed, sha256, now.rank, now.right, now.clicked))
    await connection.executemany(statement("verdict_write", project.id), rows)
    return news


def _verdict(row: asyncpg.Record) -> Verdict:
    return Verdict(row["rank"], row["is_right"], row["clicked"])


async def page(
    database: Database, project_name: str, size: int, after: tuple[int, int] | None
) -> tuple[int, list[Feedback]]:
    """Return the next feedback, oldest first; see `reading.page`."""
    async with registry.reading(database, project_name) as (connection, project):
        rows = await connection.fetch(statement("feedback_page", project.id), ended_at(project, after), size)
        hits: defaultdict[bytes, list[Hit]] = defaultdict(list)
        ids = [row["search_id"] for row in rows]
        for row in await connection.fetch(statement("verdict_of_page", project.id), ids):
            hit = Hit(row["sha256"], _verdict(row), row["stored"], row["update_time"])
            hits[row["search_id"]].append(hit)
        return project.id, [_feedback(row, hits[row["search_id"]]) for row in rows]


def _feedback(row: asyncpg.Record, hits: Iterable[Hit]) -> Feedback:
    return Feedback(
        id=row["id"],
        search_id=row["search_id"],
        search_time=row["search_time"],
        query_sha256=row["query_sha256"] or b"",
        query_stored=row["query_stored"],
        embedding=Embedding(row["space"], row["vector"]) if row["space"] else None,
        hits=tuple(hits),
    )


async def delete(database: Database, project_name: str, searches: Sequence[SearchId], before: datetime | None) -> int:
    """Delete the feedback on these searches, and on searches before a time. Returns how many. Raises NotFound."""
    async with registry.writing(database, project_name) as (connection, project):
        ids = [search.packed for search in searches]
        done = await connection.execute(statement("feedback_delete", project.id), ids, before)
        count = int(done.removeprefix("DELETE "))
        await connection.execute(statement("feedback_count"), project.id, -count)
        return count


async def expire(database: Database, kept_for: timedelta) -> int:
    """Delete feedback that is older, in all projects. Returns on how many searches it was."""
    async with database.reading() as connection:
        names = [row["name"] for row in await connection.fetch(statement("feedback_held"))]
    count = 0
    for name in names:
        try:
            count += await delete(database, name, [], datetime.now(UTC) - kept_for)
        except NotFound:  # the project has been deleted meanwhile
            continue
    return count
