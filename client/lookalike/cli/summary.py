"""Print what a run has done: the report, notes, what was passed over; as text, or as JSON events for programs."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import typer

from lookalike.cli.common import console, errors
from lookalike.cli.json_output import camel_case
from lookalike.cli.report import Report, as_line
from lookalike.records import Status

_REASONS: Final = 8
"""Of the files that were passed over, so many reasons are shown."""


def print_report(report: Report, *, as_json: bool, interrupted: bool = False) -> None:
    """Print the final report of a run."""
    if as_json:
        failures = str(report.failures) if report.failed else None
        print_event(
            "report",
            seconds=round(report.seconds, 3),
            **count_fields(report),
            reasons=dict(report.reasons),
            passed_over=report.passed_over,
            notes=report.notes,
            failures=failures,
            interrupted=interrupted,
        )
        return
    total = report.counts.total()
    parts = ", ".join(f"{report.counts[status]:,} {status}" for status in Status)
    rate = total / max(report.seconds, 1e-9)
    console.print(
        f"{total:,} image{'' if total == 1 else 's'} in {duration(report.seconds)} ({rate:,.1f} images/s): {parts}"
    )
    print_passed_over(report.passed_over)
    print_notes(report)
    for reason, examples in sorted(report.examples.items()):
        messages = [str(outcome.error) for outcome in examples]
        messages = [
            message if outcome.uri in message else f"{outcome.uri}: {message}"
            for outcome, message in zip(examples, messages, strict=True)
        ]
        _print_examples(reason, report.reasons[reason], messages, style="red")
    if report.failed:
        errors.print(
            f"All failures are in {report.failures}, which is a manifest: index it to retry them.", soft_wrap=True
        )
    if interrupted:
        errors.print(
            "Not finished. The items counted above are stored; run the same command again for the rest.",
            soft_wrap=True,
        )


def print_notes(report: Report) -> None:
    """Print what was left out of items that are indexed, by reason, if there is anything."""
    for reason, notes in sorted(report.note_examples.items()):
        _print_examples(reason, report.notes[reason], [note.message for note in notes], style="yellow")


def _print_examples(reason: str, count: int, messages: Sequence[str], style: str) -> None:
    errors.print(f"{reason}: {count:,}", style=style)
    for message in messages:
        errors.print(f"  {message}", soft_wrap=True)
    if (remaining := count - len(messages)) > 0:
        errors.print(f"  … and {remaining:,} more")


def print_passed_over(passed_over: Counter[str]) -> None:
    """Print how many files the sources passed over, by reason, if there are any."""
    if total := passed_over.total():
        reasons = passed_over.most_common()
        shown = ", ".join(f"{reason} {count:,}" for reason, count in reasons[:_REASONS])
        more = f", … and {len(reasons) - _REASONS:,} other kinds" if len(reasons) > _REASONS else ""
        errors.print(f"{total:,} file{'' if total == 1 else 's'} passed over: {shown}{more}", soft_wrap=True)


def print_event(name: str, **fields: Any) -> None:  # noqa: ANN401 - whatever JSON takes
    """Print an event as one line of JSON."""
    typer.echo(as_line({"event": name, **{camel_case(field): value for field, value in fields.items()}}))


def count_fields(report: Report) -> dict[str, int]:
    """Return the report's counts as fields of an event."""
    return {status.value: report.counts[status] for status in Status} | {"deleted": report.deleted}


def duration(seconds: float) -> str:
    """Format a duration for people: 1.5 s, 2 min 5 s, 3 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left} min" if hours else f"{minutes} min {rest} s"
