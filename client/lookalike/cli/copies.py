"""Implement `lookalike copies`, which tells which pictures are copies of a project's photos."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, aclosing, suppress
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

import typer
from rich.text import Text

from lookalike.cli.common import (
    DEFAULT_EMBEDDER,
    DEFAULT_SEARCHER,
    EXIT_COULD_NOT_RUN,
    MATCH_STYLES,
    Embedder,
    Searcher,
    Timeout,
    console,
    errors,
    format_places,
    format_products,
    print_failure,
    run,
)
from lookalike.cli.json_output import document
from lookalike.cli.proof_words import words
from lookalike.client import Client
from lookalike.escape import escape
from lookalike.indexing import Items
from lookalike.records import Hit, Item, Suspect
from lookalike.sources import Sources
from lookalike.sources.threaded import in_thread

EXIT_COPIES: Final = 3


def copies(
    project: Annotated[str, typer.Argument(help="The name of the project whose photos may have been copied.")],
    sources: Annotated[
        list[str], typer.Argument(help="The suspicious pictures: folders, files, manifests or URLs, as for `index`.")
    ],
    candidates: Annotated[
        int, typer.Option(min=1, max=100, help="Nearest photos that each picture is compared with.")
    ] = 20,
    thorough: Annotated[
        bool,
        typer.Option(help="Compare what is nearest to views of each picture too: turned, its middle, its quarters."),
    ] = True,
    results: Annotated[
        Path | None,
        typer.Option(help="File to which results are added as lines of JSON; pictures in it are not looked for again."),
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

    async def work() -> int:
        named.check()
        with ExitStack() as stack:
            report = _Report(stack, results, as_json=as_json)
            client = Client(embedder, searcher, timeout=timeout)
            suspects = client.find_copies(project, report.new(named), candidates=candidates, thorough=thorough)
            async with client, aclosing(suspects) as found:
                async for suspect in found:
                    report.add(suspect)
            for failure in named.findings.failures:
                report.add(Suspect(failure.uri, error=failure.error))
            return report.end(named)

    run(work())


class _Report:
    """Print the suspects, count them, and keep them in a file if there is one."""

    def __init__(self, stack: ExitStack, results: Path | None, *, as_json: bool) -> None:
        self._as_json = as_json
        self._counts: Counter[str] = Counter()
        self._known: set[str] = set()
        self._file: TextIO | None = None
        if results:
            self._known = {line["uri"] for line in _lines(results) if "error" not in line}
            self._file = stack.enter_context(results.open("a", encoding="utf-8"))

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
        """Print what became of a picture, and keep it."""
        self._counts["failed" if suspect.error else "copies" if suspect.copies else "others"] += 1
        self._counts["unverified"] += suspect.unverified
        line = json.dumps(_document(suspect))
        if self._file:
            self._file.write(f"{line}\n")
            self._file.flush()
        if self._as_json:
            typer.echo(line)
        elif suspect.error:
            errors.print(f"{suspect.uri}: {suspect.error}", soft_wrap=True)
        for hit in () if self._as_json else suspect.copies:
            _print(suspect.uri, hit)

    def end(self, named: Sources) -> int:
        """Print a summary, and return the exit code."""
        counts = self._counts
        if not counts.total():
            print_failure(f"there are no images in {', '.join(named.names)}")
            return EXIT_COULD_NOT_RUN
        known = f", {counts['known']:,} known from the file" if counts["known"] else ""
        errors.print(
            f"{counts['copies']:,} are copies, {counts['others']:,} are not, {counts['failed']:,} failed{known}"
        )
        if counts["unverified"]:
            errors.print(
                f"{counts['unverified']:,} pairs could not be compared, as there is no fingerprint, or too little to"
                " see (`lookalike index --reread` adds fingerprints to images of before)",
                soft_wrap=True,
            )
        return EXIT_COPIES if counts["copies"] else 1 if counts["failed"] else 0


def _print(uri: str, hit: Hit) -> None:
    """Print a copy as one line: the picture, what it is, of which product and photo, and what was done."""
    done = words(hit.proof) if hit.proof else "nothing"
    parts = (uri, hit.match, format_products(hit.references), format_places(hit.references, hit.reference_count), done)
    if not console.is_terminal:
        typer.echo("\t".join(map(escape, parts)))
        return
    console.print(uri, style="bold", soft_wrap=True)
    console.print("   ", Text(hit.match, MATCH_STYLES[hit.match]), "of", *parts[2:4], soft_wrap=True)
    console.print("   ", done, soft_wrap=True)


def _document(suspect: Suspect) -> dict[str, Any]:
    """Return the JSON of a suspect: `error` only where there is one."""
    made = {
        "uri": suspect.uri,
        "copies": [document(hit) for hit in suspect.copies],
        "unverified": suspect.unverified,
    }
    return made | ({"error": str(suspect.error), "reason": suspect.error.reason} if suspect.error else {})


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the results that a file has; the last line may be broken, as a run was killed."""
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):
                yield json.loads(line)
