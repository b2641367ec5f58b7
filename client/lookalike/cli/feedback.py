"""Implement `lookalike feedback`, which exports and deletes users' feedback on searches."""

from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated

import typer

from lookalike.cli.common import DEFAULT_SEARCHER, Searcher, Yes, console, run
from lookalike.cli.json_output import print_json
from lookalike.client import Client

app = typer.Typer(no_args_is_help=True, help="Export and delete users' feedback on searches.")

Project = Annotated[str, typer.Argument(help="The project's name.")]


@app.command()
def export(project: Project, searcher: Searcher = DEFAULT_SEARCHER) -> None:
    """Print a project's feedback, oldest first. Each search is a line of JSON."""

    async def work() -> None:
        async with Client(searcher=searcher) as client, aclosing(client.list_feedback(project)) as listed:
            async for search_feedback in listed:
                print_json(search_feedback)

    run(work())


@app.command()
def delete(
    project: Project,
    search: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Delete feedback on this search. Can be repeated.")
    ] = None,
    before: Annotated[
        datetime | None, typer.Option(help="Delete feedback on searches before this time, in UTC.")
    ] = None,
    searcher: Searcher = DEFAULT_SEARCHER,
    yes: Yes = False,
) -> None:
    """Delete feedback on searches, with the vectors of their queries."""
    if not search and before is None:
        raise typer.BadParameter("give at least one of --search and --before")
    if not yes:
        typer.confirm(f"Delete this feedback of project {project!r}?", abort=True)

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            end = before.replace(tzinfo=UTC) if before else None
            count = await client.delete_feedback(project, search_ids=search or (), before=end)
        console.print(f"deleted the feedback on {count:,} search{'' if count == 1 else 'es'}")

    run(work())
