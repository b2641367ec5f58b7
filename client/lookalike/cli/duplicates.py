"""Implement `lookalike duplicates`, which finds images of a project that are the same or nearly the same."""

from contextlib import aclosing
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lookalike.cli.common import (
    DEFAULT_SEARCHER,
    Searcher,
    console,
    errors,
    format_places,
    format_products,
    run,
)
from lookalike.cli.json_output import print_json
from lookalike.cli.table import print_table, table
from lookalike.client import Client
from lookalike.records import DuplicateCluster, DuplicateProgress


def duplicates(
    project: Annotated[str, typer.Argument(help="The project's name.")],
    min_similarity: Annotated[
        float | None,
        typer.Option(
            min=0.5, max=1, help="The lowest similarity of near duplicates; by default the searcher's threshold."
        ),
    ] = None,
    same_file: Annotated[
        bool, typer.Option("--same-file", help="Show only files that are used in several places.")
    ] = False,
    resume: Annotated[
        str, typer.Option(metavar="TOKEN", help="Resume an earlier search from the token that it printed.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print each cluster as a line of JSON.")] = False,
    searcher: Searcher = DEFAULT_SEARCHER,
) -> None:
    """Show the clusters of a project's images that are duplicates of one another."""

    async def work() -> None:
        screen = _Screen(as_json=as_json)
        async with Client(searcher=searcher) as client:
            duplicate_clusters = client.find_duplicates(
                project,
                min_similarity=min_similarity,
                same_file_only=same_file,
                resume_token=resume,
                on_progress=screen.progress,
            )
            with screen:
                async with aclosing(duplicate_clusters) as clusters:
                    async for cluster in clusters:
                        screen.cluster(cluster)

    run(work())


class _Screen:
    """Print the clusters, and below them, on standard error, the progress of the search."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._count = 0
        self._last: DuplicateProgress | None = None
        self._bar = Progress(
            TextColumn("examining"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=errors,
            disable=not errors.is_terminal,
            transient=True,
            redirect_stdout=False,
        )
        self._task = self._bar.add_task("examining", total=None)

    def __enter__(self) -> None:
        """Start to show the progress."""
        self._bar.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Print a summary; if the search did not end, print how to resume it."""
        self._bar.stop()
        if kind is not None and self._last:
            errors.print(f"to go on from here: --resume {self._last.resume_token}", soft_wrap=True)
        elif kind is None and not self._as_json:
            images = f" among {self._last.image_count:,} images" if self._last else ""
            console.print(f"{self._count:,} clusters{images}")

    def progress(self, progress: DuplicateProgress) -> None:
        self._last = progress
        self._bar.update(self._task, completed=progress.examined_count, total=progress.image_count)

    def cluster(self, cluster: DuplicateCluster) -> None:
        self._count += 1
        self._bar.stop()  # standard output and standard error may be the same terminal
        if self._as_json:
            print_json(cluster)
        else:
            _print(cluster)
        self._bar.start()


def _print(cluster: DuplicateCluster) -> None:
    first = cluster.images[0].image
    shown = table(("similarity", "product", "where"))
    shown.show_header = False
    if cluster.image_count == 1:
        console.print(f"1 image in {first.reference_count:,} places", style="bold")
        for reference in first.references:
            shown.add_row("", reference.product, reference.uri)
    else:
        console.print(f"{cluster.image_count:,} images", style="bold")
        for member in cluster.images:
            references = member.image.references
            place = format_places(references, member.image.reference_count)
            shown.add_row(f"{member.similarity:.4f}", format_products(references), place)
    print_table(shown)
