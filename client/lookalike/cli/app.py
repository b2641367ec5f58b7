"""Assemble the commands of `lookalike`."""

import importlib.metadata
import logging
import sys
import traceback
from typing import Annotated

import typer

from lookalike.cli import (
    adapt,
    copies,
    delete,
    demo,
    dismissals,
    duplicates,
    evaluate,
    feedback,
    health,
    http,
    images,
    index,
    project,
    search,
    space,
    token,
    up,
)
from lookalike.escape import escape_lines

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
app.add_typer(project.app, name="project")
app.add_typer(space.app, name="space")
app.add_typer(feedback.app, name="feedback")
app.add_typer(dismissals.app, name="dismissals")
app.add_typer(token.app, name="token")
app.command("index")(index.index)
app.command("search")(search.search)
app.command("duplicates")(duplicates.duplicates)
app.command("copies")(copies.copies)
app.command("adapt")(adapt.adapt)
app.command("images")(images.images)
app.command("delete")(delete.delete)
app.command("evaluate")(evaluate.evaluate)
app.command("http", context_settings=http.PASSED_ON)(http.http)
app.command("health")(health.health)
app.command("up")(up.up)
app.command("demo")(demo.demo)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"lookalike {importlib.metadata.version('lookalike')}")
        raise typer.Exit


@app.callback()
def _lookalike(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Find the images that look like a given image."""


class _EscapedFormatter(logging.Formatter):
    """The formatter makes what could control the terminal harmless."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_lines(super().format(record))


def main() -> None:
    """Run the command line; this is the entry point of the console script."""
    if logging.lastResort:  # prints what libraries warn of, which may contain text of others
        logging.lastResort.setFormatter(_EscapedFormatter())
    try:
        app(prog_name="lookalike")
    except Exception:  # a bug of this program; the message may contain text of others, so it is escaped
        sys.stderr.write(escape_lines(traceback.format_exc()))
        raise SystemExit(1) from None
