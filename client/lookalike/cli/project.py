"""Implement `lookalike project`, which creates, lists, shows, limits, enables, disables and deletes projects."""

import dataclasses
from typing import Annotated, Any, Final

import typer

from lookalike.cli.common import DEFAULT_EMBEDDER, DEFAULT_SEARCHER, Embedder, Searcher, Yes, console, run
from lookalike.cli.search_time import search_time
from lookalike.cli.space import Dimensions, show_spaces
from lookalike.cli.table import print_table, table
from lookalike.client import Client
from lookalike.records import Limits, Project, SearchQuality, TuningPolicy, TuningStage

app = typer.Typer(no_args_is_help=True, help="Create, list, show, limit, enable, disable, tune and delete projects.")

_WINDOWS: Final = (7, 30)
"""The quality of searches is shown over these numbers of days."""

Name = Annotated[str, typer.Argument(help="The project's name.")]
MaxImages = Annotated[int | None, typer.Option(min=0, help="The most images in the project; 0: the server's limit.")]
MaxHits = Annotated[int | None, typer.Option(min=0, max=1000, help="The most hits of a search; 0: the server's limit.")]
Rate = Annotated[
    float | None, typer.Option(min=0, help="The most searches a second at each searcher; 0: the server's limit.")
]
MaxBatch = Annotated[
    int | None, typer.Option(min=0, max=100, help="The most searches in a batch; 0: the server's limit.")
]


@app.command()
def create(
    name: Name,
    space: Annotated[str | None, typer.Option(help="The project's embedding space; by default the embedder's.")] = None,
    dimensions: Dimensions = None,
    tuning: Annotated[
        TuningPolicy | None, typer.Option(help="How far the searcher may tune it; by default as the searcher says.")
    ] = None,
    embedder: Embedder = DEFAULT_EMBEDDER,
    searcher: Searcher = DEFAULT_SEARCHER,
) -> None:
    """Create a project without images."""

    async def work() -> None:
        async with Client(embedder, searcher) as client:
            _show([await client.create_project(name, space=space, dimensions=dimensions, tuning_policy=tuning)])

    run(work())


@app.command("list")
def list_(searcher: Searcher = DEFAULT_SEARCHER) -> None:
    """List all projects with their sizes and spaces."""

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            _show([project async for project in client.list_projects()])

    run(work())


@app.command()
def show(name: Name, searcher: Searcher = DEFAULT_SEARCHER) -> None:
    """Show a project with its limits, its spaces, the state of their indexes, and the quality of its searches."""

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            project = await client.get_project(name)
            qualities = {days: await client.search_quality(name, days=days) for days in _WINDOWS}
        _show([project])
        _show_limits(project.limits)
        show_spaces(project)
        for space in project.spaces:
            if space.serves:
                console.print(search_time(project, space), soft_wrap=True)
        show_tuning(project)
        _show_quality(qualities)

    run(work())


@app.command()
def limit(
    name: Name,
    max_images: MaxImages = None,
    max_hits: MaxHits = None,
    searches_per_second: Rate = None,
    max_batch: MaxBatch = None,
    searcher: Searcher = DEFAULT_SEARCHER,
) -> None:
    """Set limits of a project. Limits without an option do not change."""
    options = {
        "max_images": max_images,
        "max_hits": max_hits,
        "searches_per_second": searches_per_second,
        "max_batch": max_batch,
    }
    changes: dict[str, Any] = {field: value for field, value in options.items() if value is not None}
    if not changes:
        raise typer.BadParameter("give at least one limit")

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            present = (await client.get_project(name)).limits
            project = await client.update_project(name, limits=dataclasses.replace(present, **changes))
        _show_limits(project.limits)

    run(work())


@app.command()
def enable(name: Name, searcher: Searcher = DEFAULT_SEARCHER) -> None:
    """Enable the searches of a project again."""
    _switch(name, searcher, on=True)


@app.command()
def disable(name: Name, searcher: Searcher = DEFAULT_SEARCHER) -> None:
    """Disable the searches of a project. Its images stay, and everything else still works."""
    _switch(name, searcher, on=False)


def _switch(name: str, searcher: str, *, on: bool) -> None:
    async def work() -> None:
        async with Client(searcher=searcher) as client:
            _show([await client.update_project(name, search_enabled=on)])

    run(work())


@app.command()
def fingerprints(
    name: Name,
    on: Annotated[bool, typer.Option("--on/--off", help="Whether to store them from now on.")],
    searcher: Searcher = DEFAULT_SEARCHER,
) -> None:
    """Switch on or off the fingerprints of a project, by which copies are proven. Those of before stay."""

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            _show([await client.update_project(name, fingerprints_enabled=on)])

    run(work())


@app.command()
def tuning(
    name: Name,
    policy: Annotated[
        TuningPolicy | None, typer.Argument(help="off; propose what helps; or auto: cut over to it, and go back.")
    ] = None,
    accept: Annotated[
        str, typer.Option(metavar="SPACE", help="Build the proposed space, and search in it once it is filled.")
    ] = "",
    searcher: Searcher = DEFAULT_SEARCHER,
) -> None:
    """Show how a project is tuned, set how far the searcher may tune it by itself, or accept what it proposes."""

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            project = await client.get_project(name)
            if policy or accept:
                project = await client.update_project(name, tuning_policy=policy, accept_space=accept)
        show_tuning(project)

    run(work())


@app.command()
def delete(
    name: Name,
    searcher: Searcher = DEFAULT_SEARCHER,
    yes: Yes = False,
) -> None:
    """Delete a project with all its images."""
    if not yes:
        typer.confirm(f"Delete project {name!r} with all its images?", abort=True)

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            await client.delete_project(name)
        console.print(f"deleted {name}")

    run(work())


def _show(projects: list[Project]) -> None:
    titles = ("project", "images", "references", "search", "changed", "space")
    shown = table(titles, right=("images", "references"), whole=("project", "changed", "space"))
    for project in projects:
        changed = project.update_time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        counts = (f"{project.image_count:,}", f"{project.reference_count:,}")
        shown.add_row(project.name, *counts, "on" if project.search_enabled else "off", changed, project.space)
    print_table(shown)


def show_tuning(project: Project) -> None:
    """Print how far the searcher may tune a project by itself, how far it has come, and how a proposal is accepted."""
    console.print(f"tuning: {project.tuning_policy}", soft_wrap=True)
    tuning = project.tuning
    if tuning and tuning.step_time:
        when = tuning.step_time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        what = f" {tuning.space}" if tuning.space else ""
        console.print(f"{when} {tuning.step}{what}: {tuning.detail}", soft_wrap=True, markup=False)
        if tuning.stage is TuningStage.PROPOSED:
            accept = f"lookalike project tuning {project.name} --accept {tuning.space}"
            console.print(f"to accept it: {accept}", soft_wrap=True)


def _show_quality(qualities: dict[int, SearchQuality]) -> None:
    titles = ("days", "searches", "judged", "click-through", "MRR", "precision")
    shown = table(titles, right=titles)
    for days, quality in qualities.items():
        shares = (quality.click_through_rate, quality.mean_reciprocal_rank, quality.precision)
        counts = (f"{quality.search_count:,}", f"{quality.judged_search_count:,}")
        shown.add_row(str(days), *counts, *("-" if share is None else f"{share:.3f}" for share in shares))
    print_table(shown)


def _show_limits(limits: Limits) -> None:
    shown = table(("limit", "most"), right=("most",))
    for name, value in dataclasses.asdict(limits).items():
        shown.add_row(name.replace("_", " "), f"{value:,}" if value else "the server's")
    print_table(shown)
