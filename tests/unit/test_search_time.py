"""What `lookalike project show` says about how long searches take."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lookalike.cli.search_time import search_time
from lookalike.records import Calibration, Curve, Index, IndexState, Limits, Project, Rung, Space

NOW = datetime.now(UTC)
RUNGS = (Rung(100, 0.98, 0.0014), Rung(150, 0.994, 0.0019), Rung(200, 0.996, 0.0024))
CALIBRATION = Calibration(NOW, 18_000, 200, 30, (Curve(10, RUNGS, 0.0093),))
READY = Index(IndexState.READY, 0, "", 0.996, 150, CALIBRATION)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (READY, "searches take 1.9 ms through the index, at a recall of 0.996 by searches"),
        (replace(READY, recall=None), "searches take 1.9 ms through the index, at a recall of 0.994 by calibration"),
        (replace(READY, ef_search=170), "searches take 2.4 ms through the index, at a recall of 0.996 by searches"),
        (replace(READY, ef_search=0), "searches compare all 20,000 images in 9.3 ms: its index would not be faster"),
        (replace(READY, calibration=None), "searches go through the index; it is not calibrated yet"),
        (Index(IndexState.NONE, 0, "", None, 0), "searches compare all 20,000 images"),
        (Index(IndexState.PENDING, 0, "", None, 0), "searches compare all 20,000 images until its index is built"),
        (Index(IndexState.BUILDING, 0.4, "x", None, 0), "searches compare all 20,000 images until its index is built"),
    ],
)
def test_it_says_how_long_searches_take_or_what_is_wrong(index: Index, said: str) -> None:
    space = Space("s", serves=True, vector_count=20_000, index=index, create_time=NOW)
    project = Project("shop", "s", 20_000, 20_000, NOW, NOW, Limits(), search_enabled=True, spaces=(space,))
    assert search_time(project, space) == said
