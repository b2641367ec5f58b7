"""Run the demonstration, step by step."""

import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lookalike import atomic_file
from lookalike.client import Client
from lookalike.demo import sheet, stolen
from lookalike.demo.copies import ALTERATIONS, make_copies
from lookalike.demo.web import serve_page
from lookalike.processes import ServerProcess, running
from lookalike.records import Hit, Item, Match, SearchResult, Status, TuningPolicy

PROJECT: Final = "demo"
FAMILY: Final = 1 + len(ALTERATIONS)
"""The number of images in a family, which is a photo with its copies; a query should find its family first."""
_HITS: Final = FAMILY + 1

_Servers = tuple[ServerProcess, ServerProcess, IO[bytes]]
_OTHER: Final = "another photo"
_LEFT: Final[dict[str, Any]] = {"title_justify": "left", "title_style": "bold"}


@dataclass(frozen=True)
class Answer:
    """An answer is the result of a query.

    The product of each hit is the path of its photo. Its variant is the alteration, and empty for the photo itself.
    """

    photo: Path
    product: str
    result: SearchResult

    @property
    def complete(self) -> bool:
        """Return whether the photo and all its copies come first."""
        return all(self.kind(hit) != _OTHER for hit in self.result.hits[:FAMILY])

    def kind(self, hit: Hit) -> str:
        """Return the relation of a hit to the query: `itself`, the name of an alteration, or `another photo`."""
        reference = hit.references[0]
        return (reference.variant or "itself") if reference.product == self.product else _OTHER


class StepTimer:
    """Print each step with the seconds that it took."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.perf_counter()

    def print_step(self, step: str, description: str) -> None:
        """Print a step that has just ended, and start the time of the next step."""
        now = time.perf_counter()
        line = Text.assemble((f"{step:<9} ", "bold"), description, (f"  {now - self._started:.1f} s", "dim"))
        self._console.print(line, soft_wrap=True)
        self._started = now


async def show(photos: Sequence[Path], output: Path, console: Console, *, web: bool = False) -> list[Answer]:
    """Copy, index, search, prove, and print the results; `output` keeps contact sheet, report, and the servers' log.

    With `web`, the web page is served until SIGINT or SIGTERM.
    """
    timer = StepTimer(console)
    with TemporaryDirectory(prefix="lookalike-demo-") as scratch:
        families = _families(photos, Path(scratch, "copies"), console)
        copied = f"{len(families) * len(ALTERATIONS)} altered copies of {len(families)} photos"
        timer.print_step("copies", f"{copied}: {', '.join(ALTERATIONS)}")
        async with (
            _servers(Path(scratch, "data"), output / "servers.log", timer) as (embedder, searcher, log),
            Client(embedder.address, searcher.address) as client,
        ):
            await client.create_project(PROJECT, tuning_policy=TuningPolicy.AUTO)
            outcomes = [outcome async for outcome in client.index(PROJECT, _catalogue(families))]
            counts = Counter(outcome.status for outcome in outcomes)
            timer.print_step("index", ", ".join(f"{counts[status]} {status}" for status in Status if counts[status]))
            failed = {outcome.uri for outcome in outcomes if outcome.error}
            answers = [
                Answer(
                    photo, str(photo), await client.search(PROJECT, image=photo, limit=FAMILY + 1, verify=FAMILY + 1)
                )
                for photo in families
                if photo.resolve().as_uri() not in failed
            ]
            if answers:
                timer.print_step("search", _latencies(answers))
                picture = output / "contact-sheet.png"
                sheet.draw([sheet.Row(answer.photo, answer.result.hits) for answer in answers], picture)
                timer.print_step("sheet", str(picture))
                timer.print_step("proof", await stolen.prove(client, PROJECT, answers[0].photo, output))
            if web:
                _print(answers, console)
                folders = (path.resolve().parent for family in families.values() for path in family.values())
                await serve_page(embedder, searcher, folders, console, log)
        timer.print_step("stop", "both servers and PostgreSQL ended cleanly")
    if not web:
        _print(answers, console)
    return answers


def _print(answers: Sequence[Answer], console: Console) -> None:
    console.print()
    _print_queries(answers, console)
    _print_matches(answers, console)


@asynccontextmanager
async def _servers(data: Path, log_path: Path, timer: StepTimer) -> AsyncIterator[_Servers]:
    """Start an embedder and a searcher on free ports for the block, and yield them with their log."""
    async with AsyncExitStack() as stack:
        log = stack.enter_context(atomic_file.fresh(log_path))
        searcher = await stack.enter_async_context(
            running("lookalike_searcher", ["--port", "0", "--data-dir", str(data), "--database-url", ""], log)
        )
        timer.print_step("searcher", f"{searcher.address}, with an embedded PostgreSQL")
        embedder = await stack.enter_async_context(running("lookalike_embedder", ["--port", "0"], log))
        timer.print_step("embedder", f"{embedder.address}, {embedder.description}")
        yield embedder, searcher, log


def _families(photos: Sequence[Path], folder: Path, console: Console) -> dict[Path, dict[str, Path]]:
    """Return each photo with its copies by the name of the alteration; the photo itself has the empty name."""
    families = {}
    for number, photo in enumerate(photos):
        try:
            families[photo] = {"": photo, **make_copies(photo, folder / str(number))}
        except Exception as error:  # decoders raise errors of any type on broken files
            console.print(f"skipped   {photo}: {error}", soft_wrap=True)
    return families


def _catalogue(families: Mapping[Path, Mapping[str, Path]]) -> Iterator[Item]:
    for photo, family in families.items():
        for alteration, path in family.items():
            yield Item(image=path, uri=path.resolve().as_uri(), product=str(photo), variant=alteration)


def _latencies(answers: Sequence[Answer]) -> str:
    embed = statistics.median(answer.result.embed_seconds for answer in answers) * 1000
    search = statistics.median(answer.result.search_seconds for answer in answers) * 1000
    return f"{len(answers)} queries; the median one is embedded in {embed:.0f} ms and searched in {search:.0f} ms"


def _print_queries(answers: Sequence[Answer], console: Console) -> None:
    """Print a row for each query: rank and similarity of the photo, of its copies, and of the best other photo."""
    table = Table(box=None, header_style="bold", title="Each photo as a query: rank and similarity of", **_LEFT)
    for title in ("query", "itself", *ALTERATIONS, _OTHER):
        table.add_column(title)
    for answer in answers:
        ranked = {"itself": "", **dict.fromkeys(ALTERATIONS, "missed"), _OTHER: ""}
        for rank, hit in reversed([*enumerate(answer.result.hits, start=1)]):
            ranked[answer.kind(hit)] = f"{rank}  {hit.similarity:.2f}"
        table.add_row(answer.photo.stem, *ranked.values(), style="" if answer.complete else "red")
    console.print(table)
    complete = sum(answer.complete for answer in answers)
    console.print(f"{complete} of {len(answers)} queries find all {FAMILY - 1} copies before anything else.")
    console.print()


def _print_matches(answers: Sequence[Answer], console: Console) -> None:
    counts = Counter((answer.kind(hit), hit.match) for answer in answers for hit in answer.result.hits)
    table = Table(box=None, header_style="bold", title="What the hits were taken for", **_LEFT)
    table.add_column("hit")
    for match in Match:
        table.add_column(match, justify="right")
    for kind in ("itself", *ALTERATIONS, _OTHER):
        table.add_row(kind, *(str(counts[kind, match] or "") for match in Match))
    console.print(table)
