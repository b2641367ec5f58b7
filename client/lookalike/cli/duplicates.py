"""`lookalike duplicates`: which images of a project are the same, or nearly."""

from contextlib import aclosing
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from lookalike.cli.common import (
    DEFAULT_SEARCHER,
    Searcher,
    console,
    errors,
    products,
    run,
    where,
)
from lookalike.cli.json_output import print_json
from lookalike.client import Client
from lookalike.records import DuplicateCluster, DuplicateProgress


def duplicates(
    project: Annotated[str, typer.Argument(help="The project.")],
    min_similarity: Annotated[
        float | None, typer.Option(min=0.5, max=1, help="Least similarity of near duplicates.")
    ] = None,
    same_file: Annotated[bool, typer.Option("--same-file", help="Only files that are used in several places.")] = False,
    resume: Annotated[str, typer.Option(metavar="TOKEN", help="Go on where a search ended that told this token.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print each cluster as a line of JSON.")] = False,
    searcher: Searcher = DEFAULT_SEARCHER,
) -> None:
    """Show the clusters of a project's images that are duplicates of one another."""

    async def work() -> None:
        shown = _Shown(as_json=as_json)
        async with Client(searcher=searcher) as client:
            found = client.find_duplicates(
                project,
                min_similarity=min_similarity,
                same_file_only=same_file,
                resume_token=resume,
                on_progress=shown.progress,
            )
            with shown:
                async with aclosing(found) as clusters:
                    async for cluster in clusters:
                        shown.cluster(cluster)

    run(work())


class _Shown:
    """What is on the screen: clusters, and below them, on standard error, how far the search has come."""

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
        """Show how far it has come."""
        self._bar.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Sum up; of a search that did not come to its end, say how to go on."""
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
        self._bar.stop()  # both may be the same terminal
        if self._as_json:
            print_json(cluster)
        else:
            _print(cluster)
        self._bar.start()


def _print(cluster: DuplicateCluster) -> None:
    first = cluster.images[0].image
    table = Table(box=None, show_header=False)
    if cluster.image_count == 1:
        console.print(f"1 image in {first.reference_count:,} places", style="bold")
        for reference in first.references:
            table.add_row("", Text(reference.product), Text(reference.uri, overflow="fold"))
    else:
        console.print(f"{cluster.image_count:,} images", style="bold")
        for found in cluster.images:
            references = found.image.references
            place = Text(where(references, found.image.reference_count), overflow="fold")
            table.add_row(f"{found.similarity:.4f}", Text(products(references)), place)
    console.print(table)
