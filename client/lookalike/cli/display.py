"""Show the progress of a run: live on a terminal, as lines elsewhere, or as JSON events for programs."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol

from rich.live import Live
from rich.table import Table

from lookalike.cli.common import console
from lookalike.cli.report import REPEATED, Report
from lookalike.cli.summary import count_fields, duration, print_event
from lookalike.fetch import Waiting
from lookalike.indexing import Stage, Watch
from lookalike.records import Outcome, Status
from lookalike.sources import Note

_LIVE_SECONDS: Final = 0.25
_LINE_SECONDS: Final = 10.0
_MEMORY_SECONDS: Final = 30.0
"""The rate is the mean over this time."""
_HOSTS: Final = 3
"""Of the hosts that are waited for, so many are shown."""


class Progress:
    """Track the progress of a run: the number of finished items, the rate, and the time left."""

    def __init__(self, report: Report, watch: Watch) -> None:
        self.report, self.watch = report, watch
        self.total: int | None = None
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    @property
    def done(self) -> int:
        """Return the number of items with an outcome, and of those that are left out."""
        return self.report.counts.total() + self.report.notes[REPEATED]

    def rate(self) -> float:
        """Return the recent rate in items a second."""
        now = time.monotonic()
        self._marks.append((now, self.done))
        while now - self._marks[0][0] > _MEMORY_SECONDS:
            self._marks.popleft()
        earlier, done_earlier = self._marks[0]
        return (self.done - done_earlier) / max(1e-3, now - earlier)

    def seconds_left(self, rate: float) -> float | None:
        """Return the seconds until all items are done; None if they are not known, as while all wait for hosts."""
        if self.total is None or rate <= 0 or self.watch.waiting:
            return None
        return (self.total - self.done) / rate

    def line(self) -> str:
        """Return the progress as one line of text."""
        rate = self.rate()
        counts, watch = self.report.counts, self.watch
        of_total = f" of {self.total:,}" if self.total is not None else ""
        parts = [f"{self.done:,}{of_total}", f"{rate:,.1f} images/s"]
        if (seconds_left := self.seconds_left(rate)) is not None:
            parts.append(f"{duration(seconds_left)} left")
        parts += [f"{counts[status]:,} {status}" for status in Status if counts[status]]
        parts += [f"{watch.stages[stage]:,} {stage}" for stage in Stage if watch.stages[stage]]
        if watch.put_off:
            parts.append(f"{watch.put_off:,} put off")
        parts += [f"waiting for {_waiting(one)}" for one in watch.waiting[:_HOSTS]]
        if (more := len(watch.waiting) - _HOSTS) > 0:
            parts.append(f"and for {more:,} more hosts")
        return ", ".join(parts)


def _waiting(one: Waiting) -> str:
    return f"{one.host} until {one.until.astimezone():%H:%M:%S} ({one.why})"


class Display(Protocol):
    """Display is the interface of everything that shows a run."""

    def failed(self, outcome: Outcome) -> None:
        """Show the failure of one item."""
        ...

    def noted(self, note: Note) -> None:
        """Show what was left out of one item."""
        ...

    def refresh(self) -> None:
        """Show the present progress of the run."""
        ...


class _Lines:
    """Print the progress as lines, for logs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def failed(self, outcome: Outcome) -> None:
        """Do nothing, because the report lists the failures at the end."""

    def noted(self, note: Note) -> None:
        """Do nothing, because the report lists the notes at the end."""

    def refresh(self) -> None:
        console.print(self._progress.line(), soft_wrap=True)


class _Events:
    """Print events as lines of JSON, for programs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def failed(self, outcome: Outcome) -> None:
        error = outcome.error
        if error:
            print_event("failed", uri=outcome.uri, reason=error.reason, error=str(error), request_id=error.request_id)

    def noted(self, note: Note) -> None:
        print_event("noted", place=note.place, reason=note.reason, message=note.message)

    def refresh(self) -> None:
        progress = self._progress
        rate = progress.rate()
        seconds_left = progress.seconds_left(rate)
        print_event(
            "progress",
            done=progress.done,
            total=progress.total,
            images_per_second=round(rate, 1),
            seconds_left=None if seconds_left is None else round(seconds_left),
            **count_fields(progress.report),
            stages=dict(progress.watch.stages),
            put_off=progress.watch.put_off,
            waiting=[
                {"host": one.host, "why": one.why, "until": one.until.isoformat(timespec="seconds")}
                for one in progress.watch.waiting
            ],
        )


class _Screen:
    """Show a live table on a terminal."""

    def __init__(self, progress: Progress, live: Live) -> None:
        self._progress, self._live = progress, live

    def failed(self, outcome: Outcome) -> None:
        """Do nothing, because the table has the failures by reason."""

    def noted(self, note: Note) -> None:
        """Do nothing, because the report lists the notes at the end."""

    def refresh(self) -> None:
        progress, report = self._progress, self._progress.report
        table = Table.grid(padding=(0, 2))
        table.add_row("indexing", progress.line())
        for reason, count in report.reasons.most_common(5):
            table.add_row("", f"{reason}: {count:,}", style="red")
        self._live.update(table)


@asynccontextmanager
async def show_progress(progress: Progress, *, as_json: bool) -> AsyncIterator[Display]:
    """Show the progress of a run during the block."""
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
