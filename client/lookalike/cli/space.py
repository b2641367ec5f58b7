"""Implement `lookalike space`, which manages a project's spaces, to change its model without an outage."""

from typing import Annotated

import typer

from lookalike.cli.common import (
    DEFAULT_EMBEDDER,
    DEFAULT_SEARCHER,
    Embedder,
    Searcher,
    Timeout,
    Yes,
    console,
    run,
)
from lookalike.cli.table import print_table, table
from lookalike.client import Client
from lookalike.records import Index, IndexState, Project, SpaceComparison

app = typer.Typer(no_args_is_help=True, help="Create, list, compare, cut over to and delete spaces of a project.")

ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.")]
Dimensions = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=4000,
        help="The number of dimensions of the space; by default the embedder's, or 512 for a named space.",
    ),
]
SpaceName = Annotated[str, typer.Argument(metavar="SPACE", help="The name of the embedding space.")]


@app.command()
def create(
    project: ProjectName,
    space: Annotated[str | None, typer.Argument(help="The embedding space; by default the embedder's.")] = None,
    dimensions: Dimensions = None,
    embedder: Embedder = DEFAULT_EMBEDDER,
    searcher: Searcher = DEFAULT_SEARCHER,
) -> None:
    """Add a second space to a project. `lookalike index` fills it, with an embedder of that space."""

    async def work() -> None:
        async with Client(embedder, searcher) as client:
            show_spaces(await client.create_space(project, space, dimensions=dimensions))

    run(work())


@app.command("list")
def list_(project: ProjectName, searcher: Searcher = DEFAULT_SEARCHER) -> None:
    """List a project's spaces; the serving space comes first."""

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            show_spaces(await client.get_project(project))

    run(work())


@app.command()
def compare(
    project: ProjectName,
    space: SpaceName,
    samples: Annotated[int, typer.Option(min=1, max=1000, help="The number of images to search for.")] = 100,
    limit: Annotated[int, typer.Option(min=1, max=100, help="The number of hits of each search to compare.")] = 10,
    searcher: Searcher = DEFAULT_SEARCHER,
    timeout: Timeout = 120,
) -> None:
    """Search for sampled images in a space and in the serving space, and compare the hits."""

    async def work() -> None:
        async with Client(searcher=searcher, timeout=timeout) as client:
            print_comparison(await client.compare_spaces(project, space, sample_size=samples, limit=limit))

    run(work())


@app.command("cut-over")
def cut_over(
    project: ProjectName,
    space: SpaceName,
    allow_incomplete: Annotated[
        bool,
        typer.Option(
            "--allow-incomplete", help="Cut over even if images have no vector in the space, or if it has no index."
        ),
    ] = False,
    searcher: Searcher = DEFAULT_SEARCHER,
) -> None:
    """Make another space the serving space. The old space is kept: cut over to it to go back."""

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            show_spaces(await client.cut_over_space(project, space, allow_incomplete=allow_incomplete))

    run(work())


@app.command()
def delete(project: ProjectName, space: SpaceName, searcher: Searcher = DEFAULT_SEARCHER, yes: Yes = False) -> None:
    """Delete a space and its vectors. The serving space cannot be deleted."""
    if not yes:
        typer.confirm(f"Delete space {space!r} of project {project!r} with all its vectors?", abort=True)

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            show_spaces(await client.delete_space(project, space))

    run(work())


def show_spaces(project: Project) -> None:
    """Print a table of a project's spaces."""
    titles = ("space", "dimensions", "serves", "vectors", "index", "recall", "ef_search", "derived from")
    shown = table(titles, right=("dimensions", "vectors", "recall", "ef_search"), whole=("space", "derived from"))
    for space in project.spaces:
        shown.add_row(
            space.name,
            f"{space.dimensions:,}",
            "yes" if space.serves else "",
            f"{space.vector_count:,} of {project.image_count:,}",
            _state(space.index),
            "" if space.index.recall is None else f"{space.index.recall:.3f}",
            str(space.index.ef_search or ""),
            space.source,
        )
    print_table(shown)


def _state(index: Index) -> str:
    if index.state is IndexState.BUILDING:
        return f"building, {index.progress:.0%} of {index.phase or 'what comes first'}"
    return f"{index.state}" if index.state is IndexState.READY else f"{index.state}: searches are exact"


def print_comparison(comparison: SpaceComparison, *, learned: bool = False) -> None:
    """Print the comparison of two spaces.

    Args:
        comparison: the figures of both.
        learned: whether one was just learned from the same products: then how often hits show the same product says
            nothing of others, and is left out.
    """
    titles = ("space", *(() if learned else ("same product",)), "median search")
    shown = table(titles, right=titles[1:], whole=("space",))
    for figures in (comparison.serving, comparison.other):
        same_product = () if learned else (f"{figures.same_product:.1%}",)
        shown.add_row(figures.space, *same_product, f"{figures.median_seconds * 1000:.1f} ms")
    print_table(shown)
    console.print(f"{comparison.sample_count:,} images searched for; {comparison.overlap:.1%} of the hits are the same")
