"""Run `lookalike index`: index, plan or delete, and print the results."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, suppress
from typing import Final

from lookalike.cli.common import EXIT_COULD_NOT_RUN, console, print_failure
from lookalike.cli.display import Display, Progress, show_progress
from lookalike.cli.report import REPEATED, Report
from lookalike.cli.summary import print_event, print_notes, print_passed_over, print_report
from lookalike.client import Client
from lookalike.errors import InvalidRequestError, LookalikeError
from lookalike.fetch import Settings
from lookalike.indexing import Change, Earlier, Items, Seen, Shard, Watch
from lookalike.records import END_MISSING, Item, Outcome
from lookalike.sources import Findings, Note, Sources
from lookalike.sources.threaded import in_thread

_MAX_DELETED_SHARE = 0.5
"""The share of a project's references that --sync deletes without --yes; a wrong manifest often causes more."""
_COUNT_AFTER_SECONDS = 2.0
"""The items are counted, to show the time left, after this time: shorter runs do not need it."""

_NOTES: Final = {END_MISSING: "the file lacks its last bytes, but nothing of the picture; the image is indexed"}


class Indexer:
    """An indexer runs one `lookalike index` command."""

    def __init__(
        self,
        client: Client,
        project: str,
        sources: Sources,
        share: Shard,
        settings: Settings,
        seen: Seen,
        report: Report,
        as_json: bool,
    ) -> None:
        self._client, self._project, self._sources, self._share = client, project, sources, share
        self._settings, self._seen, self._report, self._as_json = settings, seen, report, as_json
        self._incomplete = False

    async def index(self) -> int:
        """Index the items, and return the exit code."""
        watch = Watch(unfinished=self._report.add)
        progress = Progress(self._report, watch)
        counting = threading.Event()
        interrupted = True
        try:
            async with show_progress(progress, as_json=self._as_json) as display:
                self._count(progress, counting)
                run_ = self._client.index(self._project, self._source_items(), fetch=self._settings, watch=watch)
                async with aclosing(run_) as outcomes:
                    async for outcome in outcomes:
                        self._take_notes(display)
                        for finished in (*self._take_failures(), outcome):
                            self._report.add(finished)
                            if finished.error:
                                display.failed(finished)
                        if outcome.note:
                            message = f"{outcome.uri}: {_NOTES[outcome.note]}"
                            self._note(Note(outcome.uri, outcome.note, message), display)
            interrupted = False
        finally:  # report an interrupted run too: acknowledged items are stored
            counting.set()
            for outcome in self._take_failures():
                self._report.add(outcome)
            self._take_notes()
            self._report.passed_over = self._sources.findings.passed_over
            if self._report.counts or not isinstance(sys.exc_info()[1], LookalikeError | OSError):
                print_report(self._report, as_json=self._as_json, interrupted=interrupted)
        if not self._report.counts and self._share.count == 1:
            print_failure(f"there are no images in {', '.join(self._sources.names)}")
            return EXIT_COULD_NOT_RUN
        return 1 if self._report.failed else 0

    def _source_items(self) -> Items:
        """Return the items; sources that may block are read in a thread, so that signals still end the run."""
        return in_thread(self._items()) if self._sources.may_block() else self._items()

    def _take_failures(self) -> list[Outcome]:
        """Return the failures to read sources since the last call."""
        outcomes, failures = [], self._sources.findings.failures
        while failures:  # one by one, because the reading thread may add to the list
            outcomes.append(failures.pop(0))
        self._incomplete = self._incomplete or bool(outcomes)
        return outcomes

    def _take_notes(self, display: Display | None = None) -> None:
        """Count the notes of the sources since the last call, and show them."""
        notes = self._sources.findings.notes
        while notes:
            self._note(notes.pop(0), display)

    def _note(self, note: Note, display: Display | None) -> None:
        self._report.note(note)
        if display:
            display.noted(note)

    def _items(self) -> Iterator[Item]:
        findings = self._sources.findings
        for item in self._sources.items():
            if self._share.has(item.uri):
                earlier = self._seen.add(item, findings.place)
                if earlier and earlier.origin == (item.origin.url if item.origin else ""):  # else it has other rights
                    self._leave_out(item, earlier, findings)
                else:
                    yield item

    def _leave_out(self, item: Item, earlier: Earlier, findings: Findings) -> None:
        """Note that an item is left out, or count it as failed with --strict, as an earlier one has its reference."""
        place = findings.place or item.uri
        differs = "the same" if earlier.same else "the same uri, product and variant, and other labels"
        first = f" as in {earlier.place}" if earlier.place else " as an item before"
        message = f"{place}: it names {differs}{first}, which counts; this one is left out"
        if self._sources.strict:
            findings.fail(place, InvalidRequestError(message, reason=REPEATED))
        else:
            findings.note(place, REPEATED, message)

    def _count(self, progress: Progress, ended: threading.Event) -> None:
        """Count the items in a thread beside the run, so that the progress can show the total."""
        if not self._sources.is_repeatable() or not (console.is_terminal or self._as_json):
            return
        sources = self._sources.again()

        def count() -> None:
            number, stopped = 0, ended.wait(_COUNT_AFTER_SECONDS)
            with suppress(LookalikeError, OSError):  # the run itself reports these errors
                for item in sources.items() if not stopped else ():
                    number += self._share.has(item.uri)
                    if ended.is_set():
                        return
                progress.total = None if stopped else number

        threading.Thread(target=count, daemon=True).start()

    async def plan(self, within: str, *, sync: bool) -> int:
        """Print what would be done with the items; with `sync`, also what would be deleted."""
        changes: Counter[Change] = Counter()
        planned = self._client.plan_index(self._project, self._source_items(), fetch=self._settings)
        async with aclosing(planned) as plans:
            async for plan in plans:
                changes[plan.change] += 1
                if plan.change is not Change.UNCHANGED:
                    self._print_change(plan.change, plan.uri, str(plan.error) if plan.error else "")
        for failure in self._take_failures():
            changes[Change.FAILED] += 1
            self._print_change(Change.FAILED, failure.uri, str(failure.error))
        deleted = 0
        if sync:
            unseen = self._client.unseen_references(self._project, self._seen, within=within, shard=self._share)
            async for page in unseen:
                deleted += len(page)
                for reference in page:
                    self._print_change("deleted", reference.uri, "")
        self._take_notes()
        if self._as_json:
            counts = {change.value: changes[change] for change in Change}
            passed_over, notes = self._sources.findings.passed_over, self._report.notes
            print_event("plan", **counts, deleted=deleted, passed_over=passed_over, notes=notes)
        else:
            print_passed_over(self._sources.findings.passed_over)
            print_notes(self._report)
            parts = [f"{changes[change]:,} {change}" for change in Change]
            console.print(f"would be: {', '.join(parts)}, {deleted:,} deleted")
        return 1 if changes[Change.FAILED] else 0

    def _print_change(self, change: str, uri: str, error: str) -> None:
        if self._as_json:
            print_event("item", change=change, uri=uri, **({"error": error} if error else {}))
        else:
            console.print(f"{change:9} {uri}{f': {error}' if error else ''}", soft_wrap=True)

    async def prune(self, within: str, *, sure: bool) -> int:
        """Delete references that the sources no longer have, and return the exit code."""
        if self._incomplete:
            print_failure("nothing is deleted, because some sources could not be read completely")
            return EXIT_COULD_NOT_RUN
        if not self._seen.count:
            print_failure("nothing is deleted, because the sources are empty")
            return EXIT_COULD_NOT_RUN
        if not sure and await self._is_too_much(within):
            return EXIT_COULD_NOT_RUN
        async for page in self._client.unseen_references(self._project, self._seen, within=within, shard=self._share):
            self._report.deleted += (await self._client.delete_references(self._project, page)).reference_count
        if self._as_json:
            print_event("deleted", references=self._report.deleted)
        else:
            console.print(f"{self._report.deleted:,} references deleted, which the sources no longer have")
        return 0

    async def _is_too_much(self, within: str) -> bool:
        """Return whether so much would be deleted that the sources are probably wrong, and print that."""
        unseen = 0
        async for page in self._client.unseen_references(self._project, self._seen, within=within, shard=self._share):
            unseen += len(page)
        held = (await self._client.get_project(self._project)).reference_count
        if unseen <= held * _MAX_DELETED_SHARE / self._share.count:
            return False
        print_failure(
            f"{unseen:,} of {held:,} references would be deleted, so nothing is deleted; use --yes to delete them, or"
            " --within PREFIX to delete in a part of the project only"
        )
        return True
