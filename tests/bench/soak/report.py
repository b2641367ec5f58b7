"""What a run found: tables of calls, errors, restarts and memory, and the figures."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure
from tests.bench.latency import milliseconds
from tests.bench.soak.judgement import Judgement
from tests.bench.soak.memory import Segment
from tests.bench.soak.restarts import Restart


def calls(judgement: Judgement) -> list[Figure]:
    """Errors, latencies, recovery."""
    calm, every = (judgement.latencies("Search", calm=calm) for calm in (True, False))
    recoveries = judgement.recoveries()
    (restart, kind), longest = max(recoveries.items(), key=lambda item: _late(item[1]), default=(("", ""), 0.0))
    on = f"{len(calm):,} answers to Search and SearchBatch of all forms, without those that met a restart"
    return [
        Figure("unexpected_errors", judgement.unexpected().total(), "calls and runs", most=0),
        Figure("search_p50_ms", milliseconds(calm), on),
        Figure("search_p99_ms", milliseconds(calm, 0.99), "of the same; from when they were due"),
        Figure("search_with_restarts_p99_ms", milliseconds(every, 0.99), f"of all {len(every):,} that were answered"),
        Figure("recovered_after_restart_s", longest, f"the longest of {len(recoveries)}: {kind}, {restart}"),
        Figure(
            "expected_errors",
            judgement.expected().total(),
            "while a server was away: UNAVAILABLE, HTTP 503, exit code 2",
        ),
    ]


def memory(grown: Sequence[Segment]) -> list[Figure]:
    """The steepest growth."""
    if not grown:
        return [Figure("rss_slope_mb_per_min", None, "no process lived for long enough")]
    worst = max(grown, key=lambda part: part.slope)
    on = f"{worst.name}, {worst.first:.0f} to {worst.last:.0f} MB in {worst.seconds:.0f} s: the largest of {len(grown)}"
    return [Figure("rss_slope_mb_per_min", worst.slope, on)]


def tell(judgement: Judgement, restarts: Sequence[Restart], grown: Sequence[Segment], seconds: float) -> None:
    """Print the tables."""
    console = Console(width=130, highlight=False)
    tables = (_calls(judgement, seconds), _errors(judgement), _restarts(judgement, restarts), _growth(grown))
    for drawn in tables:
        console.print(drawn)


def _calls(judgement: Judgement, seconds: float) -> Table:
    drawn = _table(
        "calls", "call", "calls", "per second", "p50 ms", "p90 ms", "p99 ms", "expected errors", "unexpected"
    )
    for row in judgement.rows():
        times = (f"{value:,.1f}" for value in (row.p50, row.p90, row.p99))
        pace = f"{row.calls / seconds:.2f}"
        drawn.add_row(row.kind, f"{row.calls:,}", pace, *times, str(row.expected), str(row.unexpected))
    return drawn


def _errors(judgement: Judgement) -> Table:
    drawn = _table("errors", "call", "error", "count", "")
    for found, judged in ((judgement.expected(), "expected"), (judgement.unexpected(), "UNEXPECTED")):
        for (kind, error), count in sorted(found.items()):
            drawn.add_row(kind, error, str(count), judged)
    return drawn


def _restarts(judgement: Judgement, restarts: Sequence[Restart]) -> Table:
    drawn = _table("restarts", "restart", "ready again s", "succeeds again s", "the last to do so")
    for restart in restarts:
        own = {kind: value for (name, kind), value in judgement.recoveries().items() if name == restart.name}
        last = max(own, key=lambda kind: _late(own[kind]), default="")
        when = own.get(last, 0.0)
        drawn.add_row(
            restart.name, f"{restart.back - restart.at:.1f}", "never" if when is None else f"{when:.1f}", last
        )
    return drawn


def _growth(grown: Sequence[Segment]) -> Table:
    drawn = _table("memory, after the warm-up of each process", "process", "seconds", "first MB", "last MB", "MB/min")
    for part in grown:
        drawn.add_row(part.name, f"{part.seconds:.0f}", f"{part.first:.0f}", f"{part.last:.0f}", f"{part.slope:+.2f}")
    return drawn


def _late(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds


def _table(title: str, *headings: str) -> Table:
    drawn = Table(title=title, title_justify="left")
    for heading in headings:
        drawn.add_column(heading)
    return drawn
