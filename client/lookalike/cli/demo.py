"""Implement `lookalike demo`, which shows in one command how Lookalike works."""

from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.common import EXIT_COULD_NOT_RUN, console, print_failure, run
from lookalike.processes import require


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(
            exists=True, file_okay=False, help="Folder of your own photos; without it, the photos of the extra `demo`."
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Folder for the contact sheet, the report of a stolen photo, and the servers' log.")
    ] = Path("lookalike-demo"),
    most: Annotated[int, typer.Option(min=1, help="The most photos to use from the folder.")] = 24,
    web: Annotated[bool, typer.Option("--web", help="Serve the web page with these photos until Ctrl-C.")] = False,
) -> None:
    """Make altered copies of photos, index them, find the copies again, and prove that one photo was stolen.

    Everything runs on free ports of this machine and is deleted at the end, except the contact sheet, the stolen photo
    with its report, and the servers' log. With --web, it runs until Ctrl-C; the web page's address is printed last.
    Exit codes: 0: every photo found all its copies first; 1: some photo did not; 2: the command could not run.
    """

    async def work() -> int:
        require("torch", "asyncpg", "PIL", "fastapi", "uvicorn")
        from lookalike.demo import photos, show

        chosen = photos.photos_in(folder, most) if folder else photos.shipped_photos()
        if not chosen:
            where = str(folder) if folder else "scikit-image or scikit-learn; install lookalike with the extra `demo`"
            print_failure(f"there are no photos in {where}")
            return EXIT_COULD_NOT_RUN
        output.mkdir(parents=True, exist_ok=True)
        answers = await show.show(chosen, output, console, web=web)
        return 0 if answers and all(answer.complete for answer in answers) else 1

    run(work())
