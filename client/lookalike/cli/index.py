"""`lookalike index`: index whatever there is of images."""

import asyncio
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.common import (
    DEFAULT_EMBEDDER,
    DEFAULT_SEARCHER,
    EXIT_COULD_NOT_RUN,
    Embedder,
    Searcher,
    Timeout,
    console,
    errors,
    run,
    tell_failure,
)
from lookalike.cli.display import Progress, event, shown, tell
from lookalike.cli.report import Report
from lookalike.client import DEFAULT_EMBED_STREAMS, Client
from lookalike.errors import AlreadyExistsError, LookalikeError
from lookalike.fetch import Settings
from lookalike.indexing import Change, Items, Seen, Shard, Watch
from lookalike.records import Item, Outcome
from lookalike.sources import Format, ProductFrom, Sources
from lookalike.sources.threaded import in_thread

_MOST_DELETED = 0.5
"""The share of a project's references that --sync deletes without --yes; more is, mostly, due to a wrong manifest."""
_COUNTED_AFTER_SECONDS = 2.0
"""From when on the items are counted, for who waits for the end: before, nobody does."""
_DEFAULTS = Settings()


def index(
    project: Annotated[str, typer.Argument(help="The project to index into.")],
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Folders, glob patterns, image files, manifests (.csv, .jsonl, .parquet, .txt), URLs, `s3://…/` and"
            " the like, or `-` for a manifest on standard input."
        ),
    ],
    create: Annotated[bool, typer.Option("--create", help="Create the project if it is not there.")] = False,
    product_from: Annotated[
        ProductFrom, typer.Option(help="What products of files are called after; manifests say it themselves.")
    ] = ProductFrom.NONE,
    form: Annotated[Format, typer.Option("--format", help="How manifests are written.")] = Format.AUTO,
    sync: Annotated[bool, typer.Option("--sync", help="Afterwards, delete references that the sources lack.")] = False,
    within: Annotated[str, typer.Option(help="With --sync: only references whose URIs begin so.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="With --sync: delete also more than half of the project.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    shard: Annotated[
        str,
        typer.Option(
            help="i/n: only the i-th of n shares, counted from 0. In an Indexed Job: by JOB_COMPLETION_INDEX and"
            " LOOKALIKE_SHARDS."
        ),
    ] = "",
    failures: Annotated[
        Path | None, typer.Option(help="Where failures go, as a manifest. [default: PROJECT-failures.jsonl]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
    per_host: Annotated[int, typer.Option(min=1, help="Images fetched from one host at once.")] = _DEFAULTS.per_host,
    fetch_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that fetching an image may take.")
    ] = _DEFAULTS.timeout,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds that a host may be down before its images are given up.")
    ] = _DEFAULTS.patience,
    private_redirects: Annotated[
        bool, typer.Option("--allow-private-redirects", help="Let redirects lead to addresses that are not public.")
    ] = False,
    embed_streams: Annotated[
        int, typer.Option(min=1, help="Streams to embedders, so that at most so many are kept busy.")
    ] = DEFAULT_EMBED_STREAMS,
    embedder: Embedder = DEFAULT_EMBEDDER,
    searcher: Searcher = DEFAULT_SEARCHER,
    timeout: Timeout = 30,
) -> None:
    """Fetch, embed and store images; what the project holds already is left alone, and if it can be, not even read.

    Run it again after any interruption: it does what is left. Exit code 0: all are indexed; 1: some failed; 2: it could
    not run, or not go on.
    """
    share = _share(shard)
    found = Sources(sources, form, product_from)
    settings = Settings(
        per_host=per_host, timeout=fetch_timeout, patience=patience, private_redirects=private_redirects
    )
    path = failures or Path(f"{project}-failures{f'-{share.index}' if share.count > 1 else ''}.jsonl")

    async def work() -> int:
        found.check()
        async with Client(embedder, searcher, timeout=timeout, embed_streams=embed_streams) as client:
            if create and not dry_run:
                await _create(client, project)
            with Seen() as seen, Report(path) as report:
                command = _Index(client, project, found, share, settings, seen if sync else None, report, as_json)
                if dry_run:
                    return await command.plan(within)
                code = await command.index()
                return await command.prune(seen, within, sure=yes) or code if sync else code

    run(work(), _loop())


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed: with it the null model's pipeline is a fifth quicker."""
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


def _share(text: str) -> Shard:
    index, count = os.environ.get("JOB_COMPLETION_INDEX"), os.environ.get("LOOKALIKE_SHARDS")
    if index and not count and not text:
        raise typer.BadParameter("in an Indexed Job, LOOKALIKE_SHARDS must say of how many", param_hint="--shard")
    if index and not text:
        text = f"{index}/{count}"
    try:
        return Shard.parse(text) if text else Shard()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shard") from error


async def _create(client: Client, project: str) -> None:
    try:
        await client.create_project(project)
    except AlreadyExistsError:
        return
    errors.print(f"created project {project}")


class _Index:
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
        return self._items() if self._sources.again() else in_thread(self._items())

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
        if not self._sources.again() or not (console.is_terminal or self._as_json):
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
