"""Which searches are refused by their project's limits, or by the searcher's own, and when to come back."""

from types import SimpleNamespace
from typing import cast

import pytest

from lookalike_searcher.projects.project import Limits, Project
from lookalike_searcher.quota import QuotaExceeded
from lookalike_searcher.search.limits import Rates

OWN, FEWER = Limits(0, 5, 2.0, 3), Limits(0, 4, 0.5, 2)
HITS, BATCH, SEARCHES = "HIT_QUOTA_EXCEEDED", "BATCH_QUOTA_EXCEEDED", "SEARCH_QUOTA_EXCEEDED"


@pytest.mark.parametrize(
    ("limits", "hits", "batch", "searches", "seconds"), [(Limits(), 5, 3, 4, 0.5), (FEWER, 4, 2, 1, 2.0)]
)
def test_a_project_is_limited_by_its_own_limits_or_by_the_searchers(
    limits: Limits, hits: int, batch: int, searches: int, seconds: float
) -> None:
    rates = Rates(OWN, lambda: 1000.0)
    project = cast("Project", SimpleNamespace(id=1, name="shop", limits=limits))
    for asked, reason in (((hits + 1, 1), HITS), ((1, batch + 1), BATCH)):
        with pytest.raises(QuotaExceeded) as caught:
            rates.admit(project, *asked)
        assert (caught.value.reason, "retry_seconds" in caught.value.metadata) == (reason, False)
    for _ in range(searches):
        rates.admit(project, hits, batch)
    with pytest.raises(QuotaExceeded) as caught:
        rates.admit(project, hits, batch)
    assert (caught.value.reason, float(caught.value.metadata["retry_seconds"])) == (SEARCHES, seconds)
