"""Feedback: what users thought of searches' hits, and how good searches are by that."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.errors import FailedPrecondition, InvalidField, NotFound, QuotaExceeded
from lookalike_searcher.images.image import Embedding
from lookalike_searcher.images.reading import ended_at
from lookalike_searcher.projects import registry
from lookalike_searcher.projects.registry import Project
from lookalike_searcher.search.search_id import SearchId

MAX_HITS: Final = 1_000
"""Hits of one search that feedback may be stored on."""


@dataclass(frozen=True)
class Verdict:
    """What is thought of a hit. `right` is None where neither right nor wrong was said."""

    rank: int
    right: bool | None = None
    clicked: bool = False

    def after(self, before: "Verdict | None") -> "Verdict":
        """The two together: the later right or wrong counts, a click stays."""
        if before is None:
            return self
        right = before.right if self.right is None else self.right
        return replace(self, right=right, clicked=self.clicked or before.clicked)

    def news(self, before: "Verdict | None") -> tuple[str, ...]:
        """What it says that the one before did not."""
        before = before or Verdict(0)
        judged = {True: "right", False: "wrong", None: ""}[self.right]
        said = [judged] * (self.right != before.right) + ["clicked"] * (self.clicked and not before.clicked)
        return tuple(said)


@dataclass
class Judged:
    """A search with its query, as far as that was given, and by hash its hits on which something was said."""

    search: SearchId
    sha256: bytes = b""
    uri: str = ""
    embedding: Embedding | None = None
    verdicts: dict[bytes, Verdict] = field(default_factory=dict)


@dataclass(frozen=True)
class Hit:
    """A hit on which something was said. `stored`: the project still holds the image."""

    sha256: bytes
    verdict: Verdict
    stored: bool
    update_time: datetime


@dataclass(frozen=True)
class Feedback:
    """All that is stored on a search; `id` is its place in the list."""

    id: int
    search_id: bytes
    search_time: datetime
    query_sha256: bytes
    query_stored: bool
    embedding: Embedding | None
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class Quality:
    """The figures of GetSearchQuality, see the proto."""

    since: datetime
    searches: int
    judged: int
    clicked: int
    right: int
    wrong: int
    reciprocal_rank: float | None


async def record(
    database: Database, project: str, judged: Sequence[Judged], *, most: int, kept: timedelta | None
) -> list[str]:
    """Store verdicts, all or none.

    Args:
        database: where.
        project: the project's name.
        judged: the searches, each once.
        most: on how many searches the project may hold feedback; 0 for any number.
        kept: for how long it is kept; None: for ever.

    Returns:
        What was new: `right`, `wrong` or `clicked`, for each change.

    Raises:
        NotFound: there is no such project, or no image at a query's URI.
        InvalidField: a search was made in another project, or too long ago.
        FailedPrecondition: a query's vector is of no space of the project.
        QuotaExceeded: the project would hold feedback on too many searches, or a search on too many hits.
    """
    async with registry.writing(database, project) as (connection, found):
        _check(found, judged, kept)
        await _resolve(connection, found, judged)
        ids = [one.search.packed for one in judged]
        known = {row["search_id"] for row in await connection.fetch(statement("feedback_known", found.id), ids)}
        count = await connection.fetchval(statement("feedback_count"), found.id, len(judged) - len(known))
        if most and count > most and len(known) < len(judged):
            raise QuotaExceeded.feedback(found.name, most)
        await connection.executemany(statement("feedback_insert", found.id), map(_row, judged))
        return await _write(connection, found, judged, await _verdicts(connection, found, ids))


def _check(project: Project, judged: Iterable[Judged], kept: timedelta | None) -> None:
    """Refuse what is not the project's, or would be deleted at once."""
    spaces = {space.name for space in project.spaces}
    for number, one in enumerate(judged):
        where = f"searches[{number}].search_id"
        if one.search.project_id != project.id:
            raise InvalidField(where, f"must be of a search in project {project.name!r}", one.search.packed.hex())
        if kept and one.search.time < datetime.now(UTC) - kept:
            raise InvalidField(where, f"must be of a search of the last {kept.days} days", f"{one.search.time:%F}")
        if one.embedding and one.embedding.space not in spaces:
            raise FailedPrecondition.wrong_space(project.name, project.space, one.embedding.space)


async def _resolve(connection: Connection, project: Project, judged: Iterable[Judged]) -> None:
    """Find the images at queries' URIs."""
    if uris := {one.uri for one in judged if one.uri}:
        rows = await connection.fetch(statement("feedback_query_at", project.id), list(uris))
        hashes = {row["uri"]: row["sha256"] for row in rows}
        for one in judged:
            if one.uri and one.uri not in hashes:
                raise NotFound.image_at(project.name, one.uri)
            one.sha256 = hashes.get(one.uri, one.sha256)


def _row(one: Judged) -> tuple[object, ...]:
    space, vector = one.embedding or (None, None)
    return one.search.packed, one.search.time, one.sha256 or None, space, vector


async def _verdicts(
    connection: Connection, project: Project, ids: Sequence[bytes]
) -> dict[bytes, dict[bytes, Verdict]]:
    """What is stored on the searches."""
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
    """Write the verdicts that say something new; what that is."""
    rows: list[tuple[object, ...]] = []
    news: list[str] = []
    for one in judged:
        before = stored.get(one.search.packed, {})
        if len(before.keys() | one.verdicts.keys()) > MAX_HITS:
            raise QuotaExceeded.verdicts(project.name, MAX_HITS)
        for sha256, verdict in one.verdicts.items():
            now = verdict.after(before.get(sha256))
            if said := now.news(before.get(sha256)):
                news += said
                rows.append((one.search.packed, sha256, now.rank, now.right, now.clicked))
    await connection.executemany(statement("verdict_write", project.id), rows)
    return news


def _verdict(row: asyncpg.Record) -> Verdict:
    return Verdict(row["rank"], row["is_right"], row["clicked"])


async def page(
    database: Database, project: str, size: int, after: tuple[int, int] | None
) -> tuple[int, list[Feedback]]:
    """The next feedback, oldest first; arguments, result and errors as those of `reading.page`."""
    async with registry.reading(database, project) as (connection, found):
        rows = await connection.fetch(statement("feedback_page", found.id), ended_at(found, after), size)
        hits: defaultdict[bytes, list[Hit]] = defaultdict(list)
        ids = [row["search_id"] for row in rows]
        for row in await connection.fetch(statement("verdict_of_page", found.id), ids):
            hit = Hit(row["sha256"], _verdict(row), row["stored"], row["update_time"])
            hits[row["search_id"]].append(hit)
        return found.id, [_feedback(row, hits[row["search_id"]]) for row in rows]


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


async def delete(database: Database, project: str, searches: Sequence[SearchId], before: datetime | None) -> int:
    """Delete the feedback on these searches, and on those made before a time; how many searches. Raises NotFound."""
    async with registry.writing(database, project) as (connection, found):
        ids = [one.packed for one in searches]
        done = await connection.execute(statement("feedback_delete", found.id), ids, before)
        count = int(done.removeprefix("DELETE "))
        await connection.execute(statement("feedback_count"), found.id, -count)
        return count


async def expire(database: Database, kept: timedelta) -> int:
    """Delete what is older, in all projects; on how many searches that was."""
    async with database.reading() as connection:
        names = [row["name"] for row in await connection.fetch(statement("feedback_held"))]
    count = 0
    for name in names:
        try:
            count += await delete(database, name, [], datetime.now(UTC) - kept)
        except NotFound:  # deleted meanwhile
            continue
    return count


async def quality(database: Database, project: str, days: int) -> Quality:
    """How good the searches of the last days were, the present one included. Raises NotFound."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=days - 1)
    async with registry.reading(database, project) as (connection, found):
        searches = await connection.fetchval(statement("impression_count"), found.id, since.date())
        row = await connection.fetchrow(statement("feedback_quality", found.id), since)
    assert row is not None  # noqa: S101 - it aggregates
    return Quality(
        since=since,
        searches=searches,
        judged=row["judged"],
        clicked=row["clicked"],
        right=row["right_hits"],
        wrong=row["wrong_hits"],
        reciprocal_rank=row["reciprocal_rank"],
    )
