"""Implement `lookalike evaluate`, which measures how good the ranking is, on labelled photos."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Final, Self

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from lookalike import atomic_file
from lookalike.cli.arguments import check_report, rerank_depth
from lookalike.cli.columns import Columns, parsed_columns
from lookalike.cli.common import DEFAULT_SEARCHER, Searcher, Timeout, console, errors, run
from lookalike.cli.table import print_table, table
from lookalike.client import Client
from lookalike.evaluation.settings import Settings
from lookalike.processes import require, running

if TYPE_CHECKING:
    from lookalike.evaluation.study import Evaluation

_NAMED: Final = 5
"""Photos that are left out and are printed by name; the report and the JSON have all of them."""


def evaluate(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS.csv",
            exists=True,
            dir_okay=False,
            help="Manifest, as `index` reads it: a photo is read from path or uri, its label is label or product.",
        ),
    ],
    embedder: Annotated[
        list[str] | None,
        typer.Option(
            envvar="LOOKALIKE_EMBEDDER",
            help="Address of an embedder to evaluate. Can be repeated, to compare embedders. Without --embedder and"
            " --project, an embedder is started.",
        ),
    ] = None,
    project: Annotated[str, typer.Option(help="A project that holds the photos; its searches are evaluated too.")] = "",
    space: Annotated[
        list[str] | None,
        typer.Option(help="The project's space to search in; by default the serving space. Can be repeated."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare every image of the project, without its index.")
    ] = False,
    rerank: Annotated[
        str,
        typer.Option(metavar="auto|INTEGER", help="Re-rank this number of nearest images of the project; 0: none."),
    ] = "0",
    limit: Annotated[
        int | None, typer.Option(min=2, help="The most photos of each label, chosen at random; all by default.")
    ] = None,
    column: Columns = None,
    copied: Annotated[
        int, typer.Option(min=0, help="Number of photos to make altered copies of, for near duplicates; 0: none.")
    ] = Settings.copied,
    threshold: Annotated[
        float, typer.Option(min=-1, max=1, help="Similarity from which on a pair counts as near-duplicate.")
    ] = Settings.threshold,
    seed: Annotated[int, typer.Option(help="Seed of the random choices.")] = Settings.seed,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as one JSON object.")] = False,
    searcher: Searcher = DEFAULT_SEARCHER,
    timeout: Timeout = 120,
) -> None:
    """Search for each photo among all others, and measure how often photos with its label come first.

    Several embedders and spaces are compared side by side, with what it would take to change to each.

    Nothing is written to any server. An embedder that this command starts is stopped at the end.
    """
    require("numpy", "PIL", "matplotlib", "jinja2", extras="`evaluate`")
    from lookalike.evaluation import labels, study
    from lookalike.evaluation.served import Served

    if space and not project:
        raise typer.BadParameter("needs --project, because it names a space of a project", param_hint="--space")
    if report:
        check_report(report)

    columns, depth = parsed_columns(column), rerank_depth(rerank)

    async def work() -> None:
        labelled = labels.read(file, limit, seed, columns)
        async with AsyncExitStack() as stack:
            addresses = embedder or ([] if project else [await stack.enter_async_context(_own_embedder())])
            clients = [await stack.enter_async_context(Client(address, timeout=timeout)) for address in addresses]
            served: list[Served] = []
            if project:
                client = await stack.enter_async_context(Client(searcher=searcher, timeout=timeout))
                options = {name: value for name, value in (("exact", exact), ("rerank", depth)) if value}
                served = [Served(client, project, name, options) for name in space or (None,)]
            with _ProgressBar() as bar:
                settings = Settings(copied, threshold, seed)
                evaluation = await study.evaluate(labelled, clients, served, settings, bar.watch)
        _print(evaluation, as_json=as_json)
        if report:
            from lookalike.evaluation.report import render

            atomic_file.write(report, render(evaluation))
            errors.print(f"report: {report}", soft_wrap=True)

    run(work())


@asynccontextmanager
async def _own_embedder() -> AsyncIterator[str]:
    """Start an embedder for the block, and yield its address."""
    require("torch", extras="`embedder`, or name a running one with --embedder")
    with NamedTemporaryFile(prefix="lookalike-embedder-", suffix=".log") as log:
        arguments = ["--port", "0", "--metrics-port", "0"]
        async with running("lookalike_embedder", arguments, log.file) as embedder:
            errors.print(f"embedder  {embedder.description}", soft_wrap=True)
            yield embedder.address


class _ProgressBar:
    """Show the progress on standard error if that is a terminal."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True)
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        """Start to show the progress bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the progress bar from the screen."""
        self._bar.stop()

    def watch(self, step: str, done: int, total: int) -> None:
        """Show the progress of a step."""
        self._bar.update(self._task, description=step, completed=done, total=total)


def _print(evaluation: "Evaluation", *, as_json: bool) -> None:
    from lookalike.evaluation.document import document

    left_out = evaluation.labelled.left_out
    for photo in left_out[:_NAMED]:
        errors.print(f"left out  {photo.name}: {photo.why}", soft_wrap=True)
    if len(left_out) > _NAMED:
        errors.print(f"left out  {len(left_out) - _NAMED:,} more")
    if as_json:
        typer.echo(json.dumps(document(evaluation), indent=2))
        return
    print_table(_table(evaluation))
    photos, labels = len(evaluation.labelled.photos), len(evaluation.names)
    console.print(f"{photos:,} photos of {labels:,} labels, each searched for among all others")


def _table(evaluation: "Evaluation") -> Table:
    """Return a table with a column for each side; all but the first have the difference to the first side."""
    from lookalike.evaluation import figures

    side_figures = [side.figures() for side in evaluation.sides]
    sides = [side.name for side in evaluation.sides]
    shown = table(("figure", *sides), right=sides)
    for group, members in figures.measured({name for values in side_figures for name in values}).items():
        shown.add_row(Text(group, "bold"))
        for figure in members:
            values = [measured.get(figure.name) for measured in side_figures]
            cells = [Text(figure.format_value(values[0]))]
            cells += [
                Text.assemble(figure.format_value(value), " ", (figure.difference(value, values[0]), "bold"))
                for value in values[1:]
            ]
            shown.add_row(f"  {figure.title}", *cells)
    return shown
