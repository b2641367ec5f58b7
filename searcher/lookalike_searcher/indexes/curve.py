"""Choose how deep searches walk an index, by what each depth finds and how long it takes."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from lookalike_searcher.projects.space import MAX_EF_SEARCH

LADDER: Final = (40, 60, 100, 150, 200, 300, 450, 700, MAX_EF_SEARCH)
"""These values of hnsw.ef_search are tried, from pgvector's default to its maximum."""
EXACT: Final = 2 * MAX_EF_SEARCH
"""This stands for exact ranking: no walk can be so deep."""
HYSTERESIS: Final = 1.2
"""The other way, exact or through the index, must be faster by this factor before searches change to it: else two that
take about as long would take turns, by chance."""
_BY_CHANCE: Final = 2
"""So many standard errors are taken for chance."""


@dataclass(frozen=True)
class Rung:
    """A rung is a value of hnsw.ef_search, with the mean recall and the median seconds of the queries that used it.

    Attributes:
        standard_error: that of the share of walks that have gone astray; it is not stored.
    """

    ef_search: int
    recall: float
    seconds: float
    standard_error: float = 0.0

    def reaches(self, least: float) -> bool:
        """Return whether the recall is at least this, or less by no more than walks may do that have gone astray.

        That is two standard errors of their share. They are so few that chance decides how many are in a sample: with
        100,000 images, 4 of 900 such walks, but 3 of 200. They would else decide between depths that are as good.
        """
        return self.recall + _BY_CHANCE * self.standard_error >= least


@dataclass(frozen=True)
class Curve:
    """The curve says what each rung finds of so many nearest hits, and how long an exact ranking takes."""

    hit_count: int
    rungs: tuple[Rung, ...]
    exact_seconds: float

    def rung(self, target: float) -> Rung:
        """Return the rung to walk with, if the index is walked.

        It is the least that misses no more than half of what the target allows, as users' queries may be harder than
        the sample. If none does, it is the knee: the least after which deeper walks find hardly more.
        """
        reached = (rung for rung in self.rungs if rung.reaches(enough(target)))
        best = max(rung.recall for rung in self.rungs)
        knee = (rung for rung in self.rungs if rung.reaches(best - (1 - target) / 2))
        return next(reached, None) or next(knee)

    def choose(self, target: float, *, before: int | None = None, same_graph: bool = False) -> int:
        """Return the `hnsw.ef_search` to search with, or EXACT where an exact ranking takes no longer.

        Args:
            target: the recall that searches should reach.
            before: what searches use now; None if there was no index. See HYSTERESIS.
            same_graph: whether `before` was chosen for this graph and target. It is left as it is then if it still
                serves, as other queries give a somewhat other depth each time.
        """
        rung = self.rung(target)
        was_exact = before == EXACT
        longer = self.exact_seconds / HYSTERESIS if was_exact else self.exact_seconds * HYSTERESIS
        if longer <= rung.seconds:
            return EXACT
        if not same_graph or before is None or was_exact:
            return rung.ef_search
        return self._kept(before, rung.ef_search, target)

    def _kept(self, before: int, wanted: int, target: float) -> int:
        """Return the depth of before if it meets the target, or misses no more than the knee may; else the wanted one.

        From a depth that is two or more values of LADDER deeper than wanted, it goes back by one.
        """
        place, wanted_place = bisect_left(LADDER, before), bisect_left(LADDER, wanted)
        if place > wanted_place:
            return LADDER[place - 1] if place > wanted_place + 1 else before
        best = max(rung.recall for rung in self.rungs)
        least = target if best >= target else best - (1 - target)
        tried = [rung for rung in self.rungs if rung.ef_search <= before]
        return before if tried and tried[-1].reaches(least) else wanted

    def __str__(self) -> str:
        """Return a line for the log."""
        rungs = ", ".join(f"{rung.ef_search}: {rung.recall:.4f} in {1000 * rung.seconds:.1f} ms" for rung in self.rungs)
        exactly = f"exactly in {1000 * self.exact_seconds:.1f} ms"
        return f"recall@{self.hit_count} by hnsw.ef_search {rungs}; {exactly}"


def enough(target: float) -> float:
    """Return the recall on the sample that is enough for a target: half of the misses that it allows are left over."""
    return (1 + target) / 2
