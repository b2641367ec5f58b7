"""Compute how good a project's searches are, by the feedback on them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.projects import registry


@dataclass(frozen=True)
class Quality:
    """The quality has the figures of GetSearchQuality, see the proto."""

    since: datetime
    searches: int
    judged: int
    clicked: int
    right: int
    wrong: int
    reciprocal_rank: float | None


async def measure(database: Database, project_name: str, days: int) -> Quality:
    """Return how good the searches of the last days were, today included. Raises NotFound."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=days - 1)
    async with registry.reading(database, project_name) as (connection, project):
        searches = await connection.fetchval(statement("impression_count"), project.id, since.date())
        row = await connection.fetchrow(statement("feedback_quality", project.id), since)
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
