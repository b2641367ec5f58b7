"""Implement `lookalike copies`, which tells which pictures are copies of a project's photos."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer
from rich.progress import Progress, TextColumn

from lookalike import atomic_file
from lookalike.cli import results as lines
from lookalike.cli.arguments import check_report
from lookalike.cli.common import (
    DEFAULT_EMBEDDER,
    DEFAULT_SEARCHER,
    EXIT_COULD_NOT_RUN,
    Embedder,
    Searcher,
    Timeout,
    errors,
    format_places,
    format_products,
    print_failure,
    run,
)
from lookalike.cli.table import print_table, table
from lookalike.client import Client
from lookalike.indexing import Items
from lookalike.processes import require
from lookalike.proofs import thumbnails
from lookalike.proofs.words import words
from lookalike.records import Item, Suspect
from lookalike.sources import Sources
from lookalike.sources.threaded import in_thread

EXIT_COPIES: Final = 3


def copies(
    project: Annotated[str, typer.Argument(help="The name of the project whose photos may have been copied.")],
    sources: Annotated[
        list[str], typer.Argument(help="The suspicious pictures: folders, files, manifests or URLs, as for `index`.")
    ],
    candidates: Annotated[
        int,
        typer.Option(
            min=1, max=100, help="Nearest photos that each picture is compared with, and the most copies told."
        ),
    ] = 20,
    thorough: Annotated[
        bool,
        typer.Option(help="Compare what is nearest to views of each picture too: turned, its middle, its quarters."),
    ] = True,
    results: Annotated[
        Path | None,
        typer.Option(help="File to which results are added as lines of JSON; pictures in it are not looked for again."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write an HTML report to this file, with both pictures of each pair, also of --results."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each picture as a line of JSON.")] = False,
    embedder: Embedder = DEFAULT_EMBEDDER,
    searcher: Searcher = DEFAULT_SEARCHER,
    timeout: Timeout = 30,
) -> None:
    """Find out which pictures are copies of a project's photos, with the proof: what was done to the photo.

    Exit codes: 0: no picture is a copy; 3: some are; 1: none is, but some could not be looked for; 2: the command could
    not run or could not continue.
    """
    named = Sources(sources)
    if report:
        check_report(report)

    async def work() -> int:
        if report:
            require("jinja2", extras="`evaluate`")
        named.check()
        async with Client(embedder, searcher, timeout=timeout) as client:
            with _Findings(results, as_json=as_json, kept=report is not None) as findings:
                pictures = findings.new(named)
                found = client.find_copies(project, pictures, candidates=candidates, thorough=thorough)
                async with aclosing(found):
                    async for suspect in found:
                        findings.add(suspect)
                for failure in named.findings.failures:
                    findings.add(Suspect(failure.uri, error=failure.error))
            if report and findings.any:
                from lookalike.proofs.report import render

                photos = await thumbnails.of_copied(client, project, findings.suspects)
                atomic_file.write(report, render(project, findings.suspects, photos))
                errors.print(f"report: {report}", soft_wrap=True)
        return findings.end(named)

    run(work())


class _Findings:
    """Print what is found, count it, and keep it in a file if there is one; a context manager.

    Args:
        results: the file.
        as_json: print JSON at once; else a table at the end, also if that is early.
        kept: keep all suspects, for a report, with those that the file knows.
    """

    def __init__(self, results: Path | None, *, as_json: bool, kept: bool) -> None:
        self._as_json, self._kept = as_json, kept
        self._counts: Counter[str] = Counter()
        self._stack = ExitStack()
        self._table = table(("picture", "match", "what was done", "product", "where"))
        self._file: TextIO | None = None
        known = list(lines.read(results)) if results else []
        self._known = {suspect.uri for suspect in known}
        self.suspects = known if kept else []
        if results:
            self._file = self._stack.enter_context(results.open("a", encoding="utf-8"))
        self._bar = Progress(TextColumn("{task.description}"), console=errors, disable=not errors.is_terminal)
        self._task = self._bar.add_task("")

    def __enter__(self) -> "_Findings":
        """Show how far the search is."""
        self._stack.enter_context(self._bar)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, and print the table of the copies."""
        self._stack.close()
        if self._table.row_count:
            print_table(self._table)

    @property
    def any(self) -> bool:
        """Return whether there was a picture at all."""
        return self._counts.total() > 0

    def new(self, named: Sources) -> Items:
        """Return the items that are not in the file yet; sources that may block are read in a thread."""
        items = self._new(named)
        return in_thread(items) if named.may_block() else items

    def _new(self, named: Sources) -> Iterator[Item]:
        for item in named.items():
            if item.uri in self._known:
                self._counts["known"] += 1
            else:
                yield item

    def add(self, suspect: Suspect) -> None:
        """Note what became of a picture."""
        self._counts["failed" if suspect.error else "copies" if suspect.copies else "others"] += 1
        self._counts["unverified"] += suspect.unverified
        self._bar.update(self._task, description=self._summary())
        if self._kept:
            self.suspects.append(suspect)
        line = lines.line(suspect)
        if self._file:
            self._file.write(f"{line}\n")
            self._file.flush()
        if self._as_json:
            typer.echo(line)
        elif suspect.error:
            errors.print(f"{suspect.uri}: {suspect.error}", soft_wrap=True)
        for hit in () if self._as_json else suspect.copies:
            done = words(hit.proof) if hit.proof else "nothing"
            where = format_places(hit.references, hit.reference_count)
            self._table.add_row(suspect.uri, hit.match, done, format_products(hit.references), where)

    def _summary(self) -> str:
        counts = self._counts
        known = f", {counts['known']:,} known from the file" if counts["known"] else ""
        return f"{counts['copies']:,} are copies, {counts['others']:,} are not, {counts['failed']:,} failed{known}"

    def end(self, named: Sources) -> int:
        """Print a summary, and return the exit code."""
        counts = self._counts
        if not self.any:
            print_failure(f"there are no images in {', '.join(named.names)}")
            return EXIT_COULD_NOT_RUN
        errors.print(self._summary())
        if counts["unverified"]:
            errors.print(
                f"{counts['unverified']:,} pairs could not be compared, as there is no fingerprint, or too little to"
                " see (`lookalike index --reread` adds fingerprints to images of before)",
                soft_wrap=True,
            )
        return EXIT_COPIES if counts["copies"] else 1 if counts["failed"] else 0
