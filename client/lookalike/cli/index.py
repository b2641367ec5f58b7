"""`lookalike index`: index files and folders."""

import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lookalike import files
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
from lookalike.client import Client
from lookalike.errors import AlreadyExistsError
from lookalike.files import ProductFrom
from lookalike.records import Outcome, Status

_EXAMPLES = 5


def index(
    project: Annotated[str, typer.Argument(help="The project to index into.")],
    sources: Annotated[list[Path], typer.Argument(help="Image files, and folders of them.")],
    create: Annotated[bool, typer.Option("--create", help="Create the project if it is not there.")] = False,
    product_from: Annotated[ProductFrom, typer.Option(help="What products are called after.")] = ProductFrom.NONE,
    embedder: Embedder = DEFAULT_EMBEDDER,
    searcher: Searcher = DEFAULT_SEARCHER,
    timeout: Timeout = 30,
) -> None:
    """Embed and store images; those that the project holds already are left alone.

    Exit code 0: all are indexed; 1: some failed; 2: could not run.
    """

    async def work() -> int:
        paths = list(files.image_files(sources))
        if not paths:
            tell_failure(f"there are no image files in {', '.join(map(str, sources))}")
            return EXIT_COULD_NOT_RUN
        async with Client(embedder, searcher, timeout=timeout) as client:
            if create:
                await _create(client, project)
            summary = _Summary()
            try:
                await _index(client, project, paths, product_from, summary)
            finally:  # also of a run that was ended: what is acknowledged is stored
                summary.print()
        return 1 if summary.failures else 0

    run(work())


async def _create(client: Client, project: str) -> None:
    try:
        await client.create_project(project)
    except AlreadyExistsError:
        return
    console.print(f"created project {project}")


class _Summary:
    """What became of the items, with the failures by reason."""

    def __init__(self) -> None:
        self.counts: Counter[Status] = Counter()
        self.failures: defaultdict[str, list[Outcome]] = defaultdict(list)
        self._started = time.perf_counter()

    def add(self, outcome: Outcome) -> None:
        self.counts[outcome.status] += 1
        if outcome.error:
            self.failures[outcome.error.reason or type(outcome.error).__name__].append(outcome)

    def print(self) -> None:
        seconds = time.perf_counter() - self._started
        total = self.counts.total()
        parts = ", ".join(f"{self.counts[status]:,} {status}" for status in Status)
        console.print(f"{total:,} images in {seconds:.1f} s ({total / max(seconds, 1e-9):.1f} images/s): {parts}")
        for reason, outcomes in sorted(self.failures.items()):
            errors.print(f"{reason}: {len(outcomes):,}", style="red")
            for outcome in outcomes[:_EXAMPLES]:
                errors.print(f"  {outcome.uri}: {outcome.error}", soft_wrap=True)
            if len(outcomes) > _EXAMPLES:
                errors.print(f"  … and {len(outcomes) - _EXAMPLES:,} more")


async def _index(client: Client, project: str, paths: list[Path], product_from: ProductFrom, summary: _Summary) -> None:
    with Progress(
        TextColumn("indexing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("indexing", total=len(paths), rate="", failed="")
        async for outcome in client.index(project, (files.item(path, product_from) for path in paths)):
            summary.add(outcome)
            speed = progress.tasks[task].speed
            failed = summary.counts[Status.FAILED]
            progress.update(
                task,
                advance=1,
                rate=f"{speed:.1f} images/s" if speed else "",
                failed=f"[red]{failed} failed[/]" if failed else "",
            )
