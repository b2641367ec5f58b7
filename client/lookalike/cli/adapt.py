"""Implement `lookalike adapt`, which learns a space for one project from its products."""

from contextlib import aclosing
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lookalike.cli.common import DEFAULT_SEARCHER, Searcher, Timeout, console, errors, print_failure, run
from lookalike.cli.space import print_comparison
from lookalike.cli.table import print_table, table
from lookalike.client import Client
from lookalike.records import Adaptation, Gain, Interval

EXIT_DOES_NOT_HELP = 1


def adapt(
    project: Annotated[str, typer.Argument(help="The project's name.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only measure: publish no space.")] = False,
    cut_over: Annotated[
        bool, typer.Option("--cut-over", help="Make the new space the serving space once it is filled.")
    ] = False,
    label: Annotated[
        str, typer.Option("--label", help="Its values stand for products where an image has none of two or more.")
    ] = "",
    tell_variants_apart: Annotated[
        bool, typer.Option("--tell-variants-apart", help="Learn to tell a product's variants apart.")
    ] = False,
    copies: Annotated[
        bool, typer.Option("--copies", help="Learn from proven copies too; looks for duplicates first.")
    ] = False,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Learn without products; the gain cannot be measured.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice of held-out products.")] = 0,
    searcher: Searcher = DEFAULT_SEARCHER,
    timeout: Timeout = 120,
) -> None:
    """Learn a space from the products of a project's images, measure it, and publish it if it helps.

    Exit codes: 0: done; 1: the space does not help, so nothing was published; 2: the command could not run.
    """

    async def work() -> int:
        async with Client(searcher=searcher, timeout=timeout) as client:
            with console.status("reading and learning"):
                adaptation = await client.adapt(
                    project,
                    label=label,
                    tell_variants_apart=tell_variants_apart,
                    copies=copies,
                    unlabelled=unlabelled,
                    publish=not dry_run,
                    seed=seed,
                )
            _print(adaptation)
            if adaptation.gain and not adaptation.gain.helps:
                print_failure(
                    "the space does not help: its gain on held-out products is not significant; nothing was published"
                )
                return EXIT_DOES_NOT_HELP
            if adaptation.space:
                await _follow(client, project, adaptation.space, cut_over=cut_over)
            return 0

    run(work())


async def _follow(client: Client, project_name: str, space: str, *, cut_over: bool) -> None:
    """Wait until the space is filled, compare it, and make it the serving space or print the command for that."""
    with Progress(
        TextColumn("filling"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        disable=not errors.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("filling", total=None)
        async with aclosing(client.watch_space(project_name, space)) as states:
            async for state in states:
                bar.update(task, completed=state.vector_count, total=state.wanted_count)
    print_comparison(await client.compare_spaces(project_name, space), learned=True)
    if cut_over:
        await client.cut_over_space(project_name, space)
        console.print(f"{space} serves")
    else:
        console.print(
            f"{space} is ready; to search in it: lookalike space cut-over {project_name} {space}", soft_wrap=True
        )


def _print(adaptation: Adaptation) -> None:
    images, products = f"{adaptation.images:,} images", f"{adaptation.products:,} products"
    further = {
        "values of the label": adaptation.labels,
        "judgements": adaptation.judgements,
        "copies": adaptation.copies,
    }
    also = "".join(f", {count:,} {name}" for name, count in further.items() if count)
    console.print(f"read {images} of {adaptation.source}, with {products} of two or more images{also}", soft_wrap=True)
    if adaptation.gain is None:
        console.print("learned without products, so the gain cannot be measured")
        return
    _print_gain(adaptation.gain)


def _print_gain(gain: Gain) -> None:
    shown = table(("mean average precision", "measured", "99 % confidence"), right=("measured", "99 % confidence"))
    for name, figure in (("before", gain.before), ("after", gain.after), ("difference", gain.difference)):
        shown.add_row(name, f"{figure.value:.3f}", _range(figure))
    print_table(shown)
    console.print(f"measured by {gain.queries:,} searches for images of {gain.products:,} held-out products")


def _range(figure: Interval) -> str:
    return f"{figure.low:.3f} to {figure.high:.3f}"
