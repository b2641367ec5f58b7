"""Implement `lookalike dismissals`, which says that images are no duplicates, exports that, and takes it back."""

import re
from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated, Final

import typer

from lookalike.cli.arguments import stored_uri
from lookalike.cli.common import DEFAULT_SEARCHER, Searcher, console, counted, run
from lookalike.cli.json_output import print_json
from lookalike.client import Client

app = typer.Typer(no_args_is_help=True, help="Say which images are no duplicates of one another.")

Project = Annotated[str, typer.Argument(help="The project's name.")]
Images = Annotated[
    list[str], typer.Argument(metavar="IMAGE…", help="The images, each by its hash, its URI or its local path.")
]

_HASH: Final = re.compile("[0-9a-f]{64}")


@app.command()
def add(project: Project, images: Images, searcher: Searcher = DEFAULT_SEARCHER) -> None:
    """Remember that these images are no duplicates: two of them are never in one cluster again."""

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            count = await client.dismiss_duplicates(project, await _hashes(client, project, images))
        console.print(f"dismissed {counted(count, 'pair')}")

    run(work())


@app.command()
def export(project: Project, searcher: Searcher = DEFAULT_SEARCHER) -> None:
    """Print which pairs of images are no duplicates, oldest first. Each is a line of JSON."""

    async def work() -> None:
        async with Client(searcher=searcher) as client, aclosing(client.list_dismissals(project)) as listed:
            async for dismissal in listed:
                print_json(dismissal)

    run(work())


@app.command()
def delete(project: Project, images: Images, searcher: Searcher = DEFAULT_SEARCHER) -> None:
    """Take back that these images are no duplicates; of one image, take back all that was said."""

    async def work() -> None:
        async with Client(searcher=searcher) as client:
            count = await client.delete_dismissals(project, await _hashes(client, project, images))
        console.print(f"took back {counted(count, 'pair')}")

    run(work())


async def _hashes(client: Client, project: str, images: Sequence[str]) -> list[str]:
    """Return the images' hashes; the project is asked for those that are named by their URI."""
    return [
        name if _HASH.fullmatch(name) else (await client.get_image(project, uri=stored_uri(name))).sha256
        for name in images
    ]
