"""`lookalike project`: create, list, show, delete."""

from typing import Annotated

import typer
from rich.table import Table

from lookalike.cli.common import DEFAULT_EMBEDDER, DEFAULT_SEARCHER, Embedder, Searcher, console, run
from lookalike.client import Client
from lookalike.records import Project

app = typer.Typer(no_args_is_help=True, help="Create, list, show and delete projects.")

Name = Annotated[str, typer.Argument(help="The project's name.")]


@app.command()
def create(
    name: Name,
    space: Annotated[str | None, typer.Option(help="Embedding space; the embedder's own if left out.")] = None,
    embedder: Embedder = DEFAULT_EMBEDDER,
    searcher: Searcher = DEFAULT_SEARCHER,
) -> None:
    """Create a project."""

    async def work() -> None:
        async with Client(embedder, searcher) as client:
            _show([await client.create_project(name, space=space)])

    run(work())


@app.command("list")
def list_(searcher: Searcher = DEFAULT_SEARCHER) -> None:
    """List all projects."""

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            _show([project async for project in client.list_projects()])

    run(work())


@app.command()
def show(name: Name, searcher: Searcher = DEFAULT_SEARCHER) -> None:
    """Show a project."""

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            _show([await client.get_project(name)])

    run(work())


@app.command()
def delete(
    name: Name,
    searcher: Searcher = DEFAULT_SEARCHER,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
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
    table = Table(box=None, header_style="bold")
    for title in ("project", "images", "references", "changed", "space"):
        table.add_column(title, justify="right" if title in ("images", "references") else "left")
    for project in projects:
        changed = project.update_time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(project.name, f"{project.image_count:,}", f"{project.reference_count:,}", changed, project.space)
    console.print(table)
