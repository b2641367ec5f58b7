"""`lookalike feedback`: export and delete what users thought of searches."""

from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated

import typer

from lookalike.cli.common import DEFAULT_SEARCHER, Searcher, Yes, console, run
from lookalike.cli.json_output import print_json
from lookalike.client import Client

app = typer.Typer(no_args_is_help=True, help="Export and delete what users thought of searches.")

Project = Annotated[str, typer.Argument(help="The project.")]


@app.command()
def export(project: Project, searcher: Searcher = DEFAULT_SEARCHER) -> None:
    """Print a project's feedback, oldest first: each search as a line of JSON."""

    async def work() -> None:
        async with Client(searcher=searcher) as client, aclosing(client.list_feedback(project)) as listed:
            async for one in listed:
                print_json(one)

    run(work())


@app.command()
def delete(
    project: Project,
    search: Annotated[list[str] | None, typer.Option(metavar="ID", help="On this search; may be repeated.")] = None,
    before: Annotated[datetime | None, typer.Option(help="On searches made before this time, in UTC.")] = None,
    searcher: Searcher = DEFAULT_SEARCHER,
    yes: Yes = False,
) -> None:
    """Delete feedback on searches, with their queries' vectors."""
    if not search and before is None:
        raise typer.BadParameter("name a --search, or a time --before")
    if not yes:
        typer.confirm(f"Delete this feedback of project {project!r}?", abort=True)

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            since = before.replace(tzinfo=UTC) if before else None
            count = await client.delete_feedback(project, search_ids=search or (), before=since)
        console.print(f"deleted the feedback on {count:,} search{'' if count == 1 else 'es'}")

    run(work())
