"""What became of a run: counts, failures by reason, and the file that they can be fed back in from."""

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
from lookalike.sources.manifest import ORIGIN, PRIVATE

_EXAMPLES: Final = 5


class Report:
    """Counts outcomes, and writes failures to a file, which there is only if there are any; a context manager.

    The file takes the place of the last run's at the end, as that may be what is indexed now.

    Attributes:
        counts: outcomes by status.
        reasons: failures by reason.
        examples: the first failures of each reason.
        deleted: references that were deleted.
    """

    def __init__(self, failures: Path) -> None:
        self.failures = failures
        self.counts: Counter[Status] = Counter()
        self.reasons: Counter[str] = Counter()
        self.examples: defaultdict[str, list[Outcome]] = defaultdict(list)
        self.deleted = 0
        self._file: BinaryIO | None = None
        self._ending = ExitStack()
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        """Nothing is opened before something fails. Raises OSError if nothing could be."""
        folder = self.failures.absolute().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise OSError(f"failures cannot be written to {folder}: say --failures PATH")
        atomic_file.check(self.failures)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file:
            with self._ending:
                if error and self.failures.exists():  # it may be what is being indexed: the rest is still to be done
                    with atomic_file.opened(self.failures) as before:
                        shutil.copyfileobj(before, self._file)
        elif error is None and self.counts:  # what failed last time does not fail any more
            self.failures.unlink(missing_ok=True)

    @property
    def failed(self) -> int:
        """How many have failed."""
        return self.counts[Status.FAILED]

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.counts[outcome.status] += 1
        if outcome.error:
            reason = outcome.error.reason or type(outcome.error).__name__
            self.reasons[reason] += 1
            if len(self.examples[reason]) < _EXAMPLES:
                self.examples[reason].append(outcome)
            self._write(outcome, reason)

    def _write(self, outcome: Outcome, reason: str) -> None:
        if self._file is None:
            self._file = self._ending.enter_context(atomic_file.replacing(self.failures))
        self._file.write(as_line(row(outcome, reason)).encode() + b"\n")
        self._file.flush()  # somebody may be reading it, and we may be killed


def as_line(record: Mapping[str, Any]) -> str:
    """The record as JSON in one line, readable where it is text that does nothing but be read."""
    return escape_json(json.dumps(record, ensure_ascii=False))


def row(outcome: Outcome, reason: str) -> dict[str, Any]:
    """A failure as a row of a manifest; what is no column of one begins with `_`."""
    item = outcome.item
    found: dict[str, Any] = {"uri": item.uri if item else outcome.uri}
    if item:
        found |= {**item.labels, **found, "product": item.product, "variant": item.variant, "staged": item.staged}
        if item.origin:  # so that what is fed back in may read no more than now
            found |= {ORIGIN: item.origin.url, PRIVATE: item.origin.private}
    return found | {"_reason": reason, "_error": str(outcome.error)}
