"""Collect what reading sources brings to light beside items: failures, notes, and what was passed over."""

from collections import Counter
from dataclasses import dataclass, field

from lookalike.errors import LookalikeError
from lookalike.records import Outcome, Status


@dataclass(frozen=True)
class Note:
    """A note says what was left out of an item that is indexed all the same.

    Attributes:
        place: the source and the row, such as `list.csv:7`.
        reason: the kind of note: `LABEL_DROPPED`, `SHORT_ROW`, …
        message: what was left out, and why.
    """

    place: str
    reason: str
    message: str


@dataclass
class Findings:
    """Findings grow as items are taken.

    Attributes:
        failures: one outcome for each file, folder and manifest row that could not be read.
        notes: what was left out of items that are indexed.
        passed_over: how many files were passed over, by reason: an extension, `hidden`, …
        place: the row of a manifest that the last item was read from; empty if it was none.
    """

    failures: list[Outcome] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    place: str = ""

    def fail(self, place: str, error: LookalikeError) -> None:
        """Add a failure of a file, a folder or a row."""
        self.failures.append(Outcome(place, Status.FAILED, error))

    def note(self, place: str, reason: str, message: str) -> None:
        """Add a note about a row or a manifest."""
        self.notes.append(Note(place, reason, message))

    def pass_over(self, reason: str) -> None:
        """Count a file that is passed over."""
        self.passed_over[reason] += 1
