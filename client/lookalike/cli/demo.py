"""`lookalike demo`: see it work, in one command."""

from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.common import EXIT_COULD_NOT_RUN, console, run, tell_failure
from lookalike.processes import require


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(exists=True, file_okay=False, help="Your own photos; left out, some that come with the extra."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the contact sheet and the servers' log.")] = Path(
        "lookalike-demo"
    ),
    most: Annotated[int, typer.Option(min=1, help="Most photos to take of the folder.")] = 24,
    web: Annotated[bool, typer.Option("--web", help="Leave the page open on these photos, until Ctrl-C.")] = False,
) -> None:
    """Copy photos as a copyist would, index them, and find the copies again.

    Everything runs on free ports of this machine and is gone afterwards, but for the contact sheet. With --web, that is
    when you say so; the page's address is printed last.
    Exit code 0: every photo found all its copies first; 1: not every one; 2: could not run.
    """

    async def work() -> int:
        require("torch", "asyncpg", "PIL", "fastapi", "uvicorn")
        from lookalike.demo import photos, show

        chosen = photos.photos_in(folder, most) if folder else photos.shipped_photos()
        if not chosen:
            where = str(folder) if folder else "scikit-image or scikit-learn; install lookalike with the extra `demo`"
            tell_failure(f"there are no photos in {where}")
            return EXIT_COULD_NOT_RUN
        output.mkdir(parents=True, exist_ok=True)
        answers = await show.show(chosen, output, console, web=web)
        return 0 if answers and all(answer.complete for answer in answers) else 1

    run(work())
