"""One run of `lookalike index`: what is indexed, planned, or deleted, and how that is told."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, suppress

from lookalike.cli.common import EXIT_COULD_NOT_RUN, console, tell_failure
from lookalike.cli.display import Progress, event, shown, tell
from lookalike.cli.report import Report
from lookalike.client import Client
from lookalike.errors import LookalikeError
from lookalike.fetch import Settings
from lookalike.indexing import Change, Items, Seen, Shard, Watch
from lookalike.records import Item, Outcome
from lookalike.sources import Sources
from lookalike.sources.threaded import in_thread

_MOST_DELETED = 0.5
"""The share of a project's references that --sync deletes without --yes; more is, mostly, due to a wrong manifest."""
_COUNTED_AFTER_SECONDS = 2.0
"""From when on the items are counted, for who waits for the end: before, nobody does."""


class Indexer:
    """One command."""

    def __init__(
        self,
        client: Client,
        project: str,
        sources: Sources,
        share: Shard,
        settings: Settings,
        seen: Seen | None,
        report: Report,
        as_json: bool,
    ) -> None:
        self._client, self._project, self._sources, self._share = client, project, sources, share
        self._settings, self._seen, self._report, self._as_json = settings, seen, report, as_json
        self._incomplete = False

    async def index(self) -> int:
        """Index the items; the exit code."""
        watch = Watch()
        progress = Progress(self._report, watch)
        counting = threading.Event()
        interrupted = True
        try:
            async with shown(progress, as_json=self._as_json) as display:
                self._count(progress, counting)
                run_ = self._client.index(self._project, self._given(), fetch=self._settings, watch=watch)
                async with aclosing(run_) as outcomes:
                    async for outcome in outcomes:
                        for one in (*self._unlisted(), outcome):
                            self._report.add(one)
                            if one.error:
                                display.failed(one)
            interrupted = False
        finally:  # also of a run that was ended: what is acknowledged is stored
            counting.set()
            for outcome in self._unlisted():
                self._report.add(outcome)
            if self._report.counts or not isinstance(sys.exc_info()[1], LookalikeError | OSError):
                tell(self._report, as_json=self._as_json, interrupted=interrupted)
        if not self._report.counts and self._share.count == 1:
            tell_failure(f"there are no images in {', '.join(self._sources.names)}")
            return EXIT_COULD_NOT_RUN
        return 1 if self._report.failed else 0

    def _given(self) -> Items:
        """The items: from a thread where they may not come, so that we can be told to end all the same."""
        return in_thread(self._items()) if self._sources.may_block() else self._items()

    def _unlisted(self) -> list[Outcome]:
        """What could not be listed since this was last asked."""
        found, failures = [], self._sources.failures
        while failures:  # one by one, as the thread that reads may add to them
            found.append(failures.pop(0))
        self._incomplete = self._incomplete or bool(found)
        return found

    def _items(self) -> Iterator[Item]:
        for item in self._sources.items():
            if self._share.has(item.uri):
                if self._seen is not None:
                    self._seen.add(item)
                yield item

    def _count(self, progress: Progress, ended: threading.Event) -> None:
        """Count the items beside the run, for who waits for its end."""
        if not self._sources.is_repeatable() or not (console.is_terminal or self._as_json):
            return
        again = Sources(self._sources.names, self._sources.form, self._sources.product_from)

        def count() -> None:
            number, stopped = 0, ended.wait(_COUNTED_AFTER_SECONDS)
            with suppress(LookalikeError, OSError):  # the run itself meets them too
                for item in again.items() if not stopped else ():
                    number += self._share.has(item.uri)
                    if ended.is_set():
                        return
                progress.total = None if stopped else number

        threading.Thread(target=count, daemon=True).start()

    async def plan(self, within: str) -> int:
        """Say what would be done with the items; with --sync, also what would be deleted."""
        changes: Counter[Change] = Counter()
        async with aclosing(self._client.plan_index(self._project, self._given(), fetch=self._settings)) as plans:
            async for plan in plans:
                changes[plan.change] += 1
                if plan.change is not Change.UNCHANGED:
                    self._say(plan.change, plan.uri, str(plan.error) if plan.error else "")
        for failure in self._unlisted():
            changes[Change.FAILED] += 1
            self._say(Change.FAILED, failure.uri, str(failure.error))
        deleted = 0
        if self._seen is not None:
            unseen = self._client.unseen_references(self._project, self._seen, within=within, shard=self._share)
            async for page in unseen:
                deleted += len(page)
                for reference in page:
                    self._say("deleted", reference.uri, "")
        if self._as_json:
            event("plan", **{change.value: changes[change] for change in Change}, deleted=deleted)
        else:
            parts = [f"{changes[change]:,} {change}" for change in Change]
            console.print(f"would be: {', '.join(parts)}, {deleted:,} deleted")
        return 1 if changes[Change.FAILED] else 0

    def _say(self, what: str, uri: str, error: str) -> None:
        if self._as_json:
            event("item", change=what, uri=uri, **({"error": error} if error else {}))
        else:
            console.print(f"{what:9} {uri}{f': {error}' if error else ''}", soft_wrap=True)

    async def prune(self, seen: Seen, within: str, *, sure: bool) -> int:
        """Delete what the sources no longer have; the exit code, 0 if that was done."""
        if self._incomplete:
            tell_failure("nothing is deleted, as the sources could not be listed to their end")
            return EXIT_COULD_NOT_RUN
        if not seen.count:
            tell_failure("nothing is deleted, as the sources are empty")
            return EXIT_COULD_NOT_RUN
        if not sure and await self._is_too_much(seen, within):
            return EXIT_COULD_NOT_RUN
        async for page in self._client.unseen_references(self._project, seen, within=within, shard=self._share):
            self._report.deleted += (await self._client.delete_references(self._project, page)).reference_count
        if self._as_json:
            event("deleted", references=self._report.deleted)
        else:
            console.print(f"{self._report.deleted:,} references deleted that the sources no longer have")
        return 0

    async def _is_too_much(self, seen: Seen, within: str) -> bool:
        """Whether so much would be deleted that the sources are probably not those that were meant; says so."""
        unseen = 0
        async for page in self._client.unseen_references(self._project, seen, within=within, shard=self._share):
            unseen += len(page)
        held = (await self._client.get_project(self._project)).reference_count
        if unseen <= held * _MOST_DELETED / self._share.count:
            return False
        tell_failure(
            f"{unseen:,} of {held:,} references would be deleted: nothing is; say --yes if that is meant, or"
            " --within PREFIX for a part of the project"
        )
        return True
