"""How a run is shown: live on a terminal, as lines elsewhere, or as JSON events for programs."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

import typer
from rich.live import Live
from rich.table import Table

from lookalike.cli.common import console, errors
from lookalike.cli.json_output import camel_case
from lookalike.cli.report import Report, as_line
from lookalike.indexing import Stage, Watch
from lookalike.records import Outcome, Status

_LIVE_SECONDS: Final = 0.25
_LINE_SECONDS: Final = 10.0
_MEMORY_SECONDS: Final = 30.0
"""Over which the present rate is taken."""


class Progress:
    """How far a run is: what is done, how quickly, and for how much longer."""

    def __init__(self, report: Report, watch: Watch) -> None:
        self.report, self.watch = report, watch
        self.total: int | None = None
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    @property
    def done(self) -> int:
        """Items with an outcome."""
        return self.report.counts.total()

    def rate(self) -> float:
        """Items a second, of late."""
        now = time.monotonic()
        self._marks.append((now, self.done))
        while now - self._marks[0][0] > _MEMORY_SECONDS:
            self._marks.popleft()
        then, before = self._marks[0]
        return (self.done - before) / max(1e-3, now - then)

    def seconds_left(self, rate: float) -> float | None:
        """Until all is done; None if nobody knows."""
        return (self.total - self.done) / rate if self.total is not None and rate > 0 else None

    def line(self) -> str:
        """All of it in one line."""
        rate = self.rate()
        counts, watch = self.report.counts, self.watch
        of = f" of {self.total:,}" if self.total is not None else ""
        parts = [f"{self.done:,}{of}", f"{rate:,.1f} images/s"]
        if (left := self.seconds_left(rate)) is not None:
            parts.append(f"{duration(left)} left")
        parts += [f"{counts[status]:,} {status}" for status in Status if counts[status]]
        parts += [f"{watch.stages[stage]:,} {stage}" for stage in Stage if watch.stages[stage]]
        if watch.put_off:
            parts.append(f"{watch.put_off:,} put off")
        return ", ".join(parts)


class Display(Protocol):
    """Shows a run."""

    def failed(self, outcome: Outcome) -> None:
        """Show a failure."""
        ...

    def refresh(self) -> None:
        """Show how far it is."""
        ...


class _Lines:
    """For logs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def failed(self, outcome: Outcome) -> None:
        """Failures come with the report."""

    def refresh(self) -> None:
        console.print(self._progress.line(), soft_wrap=True)


class _Events:
    """For programs: a JSON object a line."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def failed(self, outcome: Outcome) -> None:
        error = outcome.error
        if error:
            event("failed", uri=outcome.uri, reason=error.reason, error=str(error), request_id=error.request_id)

    def refresh(self) -> None:
        progress = self._progress
        rate = progress.rate()
        left = progress.seconds_left(rate)
        event(
            "progress",
            done=progress.done,
            total=progress.total,
            images_per_second=round(rate, 1),
            seconds_left=None if left is None else round(left),
            **counts(progress.report),
            stages=dict(progress.watch.stages),
            put_off=progress.watch.put_off,
        )


class _Screen:
    """For people."""

    def __init__(self, progress: Progress, live: Live) -> None:
        self._progress, self._live = progress, live

    def failed(self, outcome: Outcome) -> None:
        """They are in the table."""

    def refresh(self) -> None:
        progress, report = self._progress, self._progress.report
        table = Table.grid(padding=(0, 2))
        table.add_row("indexing", progress.line())
        for reason, count in report.reasons.most_common(5):
            table.add_row("", f"{reason}: {count:,}", style="red")
        self._live.update(table)


@asynccontextmanager
async def shown(progress: Progress, *, as_json: bool) -> AsyncIterator[Display]:
    """Show the progress during the block."""
    if as_json:
        display: Display = _Events(progress)
        async with _refreshed(display, _LINE_SECONDS):
            yield display
    elif console.is_terminal:
        with Live(console=console, auto_refresh=True, transient=True) as live:
            display = _Screen(progress, live)
            async with _refreshed(display, _LIVE_SECONDS):
                yield display
    else:
        display = _Lines(progress)
        async with _refreshed(display, _LINE_SECONDS):
            yield display


@asynccontextmanager
async def _refreshed(display: Display, seconds: float) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            display.refresh()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def tell(report: Report, *, as_json: bool, interrupted: bool = False) -> None:
    """The final report."""
    if as_json:
        failures = str(report.failures) if report.failed else None
        event(
            "report",
            seconds=round(report.seconds, 3),
            **counts(report),
            reasons=dict(report.reasons),
            failures=failures,
            interrupted=interrupted,
        )
        return
    total = report.counts.total()
    parts = ", ".join(f"{report.counts[status]:,} {status}" for status in Status)
    pace = total / max(report.seconds, 1e-9)
    console.print(
        f"{total:,} image{'' if total == 1 else 's'} in {duration(report.seconds)} ({pace:,.1f} images/s): {parts}"
    )
    for reason, examples in sorted(report.examples.items()):
        errors.print(f"{reason}: {report.reasons[reason]:,}", style="red")
        for outcome in examples:
            said = str(outcome.error)
            errors.print(f"  {said}" if outcome.uri in said else f"  {outcome.uri}: {said}", soft_wrap=True)
        if (more := report.reasons[reason] - len(examples)) > 0:
            errors.print(f"  … and {more:,} more")
    if report.failed:
        errors.print(
            f"All failures are in {report.failures}, which is a manifest: index it to try them again.", soft_wrap=True
        )
    if interrupted:
        errors.print(
            "Not finished. What is counted above is stored; the same command goes on with the rest.", soft_wrap=True
        )


def event(name: str, **fields: Any) -> None:  # noqa: ANN401 - whatever JSON takes
    """Print an event."""
    typer.echo(as_line({"event": name, **{camel_case(field): value for field, value in fields.items()}}))


def counts(report: Report) -> dict[str, int]:
    """The report's counts, by name."""
    return {status.value: report.counts[status] for status in Status} | {"deleted": report.deleted}


def duration(seconds: float) -> str:
    """For people: 1.5 s, 2 min 5 s, 3 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left} min" if hours else f"{minutes} min {rest} s"
