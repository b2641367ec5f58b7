"""Report the results of a run: counts, failures by reason, and a file of the failures that can be indexed again."""

import json
import os
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from lookalike import atomic_file
from lookalike.escape import escape_json
from lookalike.records import Outcome, Status
from lookalike.sources import Note
from lookalike.sources.manifest import ORIGIN, PRIVATE

REPEATED: Final = "ROW_REPEATED"
"""The reason of a note, or of a failure: an earlier item has the same reference."""
_EXAMPLES: Final = 5


class Report:
    """Count outcomes, and write failures to a file, which exists only if there are any; a context manager.

    The file replaces that of the last run only at the end, because that file may be the source of this run.

    Attributes:
        failures: the path of the file of failures.
        counts: the number of outcomes by status.
        reasons: the number of failures by reason.
        examples: the first failures of each reason.
        deleted: the number of references that were deleted.
        passed_over: the number of files that the sources passed over, by reason.
        notes: the number of notes by reason; a note says what was left out of an item that is indexed.
        note_examples: the first notes of each reason.
    """

    def __init__(self, failures: Path) -> None:
        self.failures = failures
        self.counts: Counter[Status] = Counter()
        self.reasons: Counter[str] = Counter()
        self.examples: defaultdict[str, list[Outcome]] = defaultdict(list)
        self.deleted = 0
        self.passed_over: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.note_examples: defaultdict[str, list[Note]] = defaultdict(list)
        self._file: BinaryIO | None = None
        self._ending = ExitStack()
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        """Check that the file can be written; it is opened at the first failure. Raises OSError if it cannot."""
        folder = self.failures.absolute().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise OSError(f"failures cannot be written to {folder}: use --failures PATH for another file")
        atomic_file.check(self.failures)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file of failures, and put it in its place."""
        if self._file:
            with self._ending:
                if error and self.failures.exists():  # it may be the source of this run, with items left to index
                    with atomic_file.opened(self.failures) as before:
                        shutil.copyfileobj(before, self._file)
        elif error is None and self.counts:  # nothing failed, so the last run's failures are outdated
            self.failures.unlink(missing_ok=True)

    @property
    def failed(self) -> int:
        """Return the number of failed items."""
        return self.counts[Status.FAILED]

    @property
    def seconds(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self._start

    def add(self, outcome: Outcome) -> None:
        """Count an outcome, and write it to the file if it is a failure."""
        self.counts[outcome.status] += 1
        if outcome.error:
            reason = outcome.error.reason or type(outcome.error).__name__
            self.reasons[reason] += 1
            if len(self.examples[reason]) < _EXAMPLES:
                self.examples[reason].append(outcome)
            self._write(outcome, reason)

    def note(self, note: Note) -> None:
        """Count a note, and keep it as an example if it is one of the first."""
        self.notes[note.reason] += 1
        if len(self.note_examples[note.reason]) < _EXAMPLES:
            self.note_examples[note.reason].append(note)

    def _write(self, outcome: Outcome, reason: str) -> None:
        if self._file is None:
            self._file = self._ending.enter_context(atomic_file.replacing(self.failures))
        self._file.write(as_line(failure_row(outcome, reason)).encode() + b"\n")
        self._file.flush()  # others may read the file, and this process may be killed


def as_line(record: Mapping[str, Any]) -> str:
    """Return the record as one line of JSON, with control characters escaped and other text readable."""
    return escape_json(json.dumps(record, ensure_ascii=False))


def failure_row(outcome: Outcome, reason: str) -> dict[str, Any]:
    """Return a failure as a row of a manifest; fields that are not columns of a manifest begin with `_`."""
    item = outcome.item
    row: dict[str, Any] = {"uri": item.uri if item else outcome.uri}
    if item:
        row |= {**item.labels, **row, "product": item.product, "variant": item.variant, "staged": item.staged}
        if item.path:
            row["path"] = item.path
        if item.origin:  # so that the item has no more rights when it is indexed again
            row |= {ORIGIN: item.origin.url, PRIVATE: item.origin.private}
    return row | {"_reason": reason, "_error": str(outcome.error)}
