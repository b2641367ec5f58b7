"""Tell whether searches have become worse, by what users do with their hits, and by recall."""

import json
import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import statement
from lookalike_searcher.projects import registry

WINDOW: Final = timedelta(days=28)
"""So many days before a cut-over are compared with the days after it, in whole weeks, as weekends differ."""
_CERTAINTY: Final = 3.29
"""A difference of so many standard errors happens by chance once in 2,000 times. It is looked for many times."""
_MIN_JUDGED: Final = 50
_MIN_SEARCHES: Final = 500
_RECALL_LOSS: Final = 0.03
"""Recall that is lower by this is worse. It comes from a hundred samples, so less may be chance."""


@dataclass(frozen=True)
class LiveQuality:
    """The live quality is how good searches were in a window.

    Attributes:
        judged: how many searches got feedback.
        reciprocal_rank: of these, the mean of 1 / the rank of the first hit that was right, or clicked and not wrong.
        variance: of the same over searches.
        searches: how many searches were answered on the whole days of the window.
        clicked: how many of them got a click.
        recall: the share of the true nearest that was found in the space that served; None if it was not sampled.
    """

    judged: int
    reciprocal_rank: float
    variance: float
    searches: int
    clicked: int
    recall: float | None

    def to_json(self) -> str:
        """Return the quality as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> "LiveQuality | None":
        """Return what `to_json` has returned, or None for an empty object."""
        fields = json.loads(text)
        return cls(**fields) if fields else None

    def loss(self, after: "LiveQuality") -> str:
        """Return what has become worse beyond doubt since, for people, or nothing."""
        if min(self.judged, after.judged) >= _MIN_JUDGED:
            error = math.sqrt(self.variance / self.judged + after.variance / after.judged)
            if self.reciprocal_rank - after.reciprocal_rank > max(_CERTAINTY * error, 1e-9):
                return f"MRR fell from {self.reciprocal_rank:.3f} to {after.reciprocal_rank:.3f}"
        if min(self.searches, after.searches) >= _MIN_SEARCHES:
            first, second = self.clicked / self.searches, after.clicked / after.searches
            both = (self.clicked + after.clicked) / (self.searches + after.searches)
            error = math.sqrt(max(both * (1 - both), 0.0) * (1 / self.searches + 1 / after.searches))
            if first - second > max(_CERTAINTY * error, 1e-9):
                return f"the click-through rate fell from {first:.3f} to {second:.3f}"
        if self.recall is not None and after.recall is not None and after.recall < self.recall - _RECALL_LOSS:
            return f"recall fell from {self.recall:.3f} to {after.recall:.3f}"
        return ""


_TRUSTED_SAMPLES: Final = 30


async def measure(database: Database, project_name: str, since: datetime, until: datetime) -> LiveQuality:
    """Return the live quality of a project's searches in a window. Raises NotFound.

    Searches are counted by day in UTC, so clicks are related to them on whole days only.
    """
    first = _midnight(since + timedelta(days=1) - timedelta(microseconds=1))
    last = _midnight(until)
    async with registry.reading(database, project_name) as (connection, project):
        judged = await connection.fetchrow(statement("tuning_quality", project.id), since, until)
        whole = await connection.fetchrow(statement("tuning_quality", project.id), first, last)
        searches = await connection.fetchval(statement("tuning_searches"), project.id, first.date(), last.date())
    assert judged is not None  # noqa: S101 - it aggregates
    assert whole is not None  # noqa: S101
    serving = project.serving
    return LiveQuality(
        judged=judged["judged"],
        reciprocal_rank=judged["reciprocal_rank"],
        variance=judged["variance"],
        searches=searches,
        clicked=whole["clicked"],
        recall=serving.recall if serving.recall_count >= _TRUSTED_SAMPLES else None,
    )


def _midnight(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
