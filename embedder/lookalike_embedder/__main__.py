"""`lookalike-embedder`: serve, or fetch the weights and end."""

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
import typer
import uvloop

from lookalike.signals import cancelled_when_terminated
from lookalike_embedder import calibration
from lookalike_embedder import weights as weights_module
from lookalike_embedder.config import METRICS_PORT, Config
from lookalike_embedder.errors import DeviceLost, InvalidImage, Stuck, Unsupported
from lookalike_embedder.image import Limits, Pixels, decode
from lookalike_embedder.server import run
from lookalike_serving import logs, tracing
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
    return f"LOOKALIKE_EMBEDDER_{name}"


Host = Annotated[str, typer.Option(envvar=_env("HOST"), help="Interface to listen on.")]
Port = Annotated[int, typer.Option(envvar=_env("PORT"), min=0, max=65535, help="Port; 0 picks a free one.")]
WeightsFile = Annotated[
    Path | None,
    typer.Option(envvar=_env("WEIGHTS"), help="VGG16 weights, .safetensors; nothing else is tried."),
]
WeightsSha256 = Annotated[
    str, typer.Option(envvar=_env("WEIGHTS_SHA256"), help="The digest that the weights' tensors must have.")
]
CacheDir = Annotated[Path, typer.Option(envvar="LOOKALIKE_CACHE_DIR", help="Folder that keeps downloaded weights.")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(envvar=_env("DEVICE"), help="Where to compute.")]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16", "int8"],
    typer.Option(envvar=_env("PRECISION"), help="How to compute; int8 is for CPUs and an embedding space of its own."),
]
MaxBatchSize = Annotated[
    int,
    typer.Option(envvar=_env("MAX_BATCH_SIZE"), min=0, help="Most images per batch; 0 measures the best at start."),
]
Workers = Annotated[
    int,
    typer.Option(envvar=_env("WORKERS"), min=0, help="Bulk batches computed at once; 0: 2 on a GPU, one per CPU core."),
]
MaxWaiting = Annotated[
    int, typer.Option(envvar=_env("MAX_WAITING"), min=1, help="Most Embed calls in flight; more are refused.")
]
MaxStreams = Annotated[
    int, typer.Option(envvar=_env("MAX_STREAMS"), min=1, help="Most EmbedStream calls in flight; more are refused.")
]
MaxInFlightBytes = Annotated[
    int,
    typer.Option(
        envvar=_env("MAX_IN_FLIGHT_BYTES"), min=1, help="Bytes of image files in flight; a quarter is kept for Embed."
    ),
]
MaxDecodingPixels = Annotated[
    int,
    typer.Option(
        envvar=_env("MAX_DECODING_PIXELS"), min=1, help="Pixels of 8-bit RGB decoded at once, over all threads."
    ),
]
DecodeThreads = Annotated[int, typer.Option(envvar=_env("DECODE_THREADS"), min=1, help="Threads that decode images.")]
CacheSize = Annotated[
    int, typer.Option(envvar=_env("CACHE_SIZE"), min=0, help="Answers kept, some 3 KiB each; 0 keeps none.")
]
MaxImageBytes = Annotated[
    int, typer.Option(envvar=_env("MAX_IMAGE_BYTES"), min=1, help="Largest image file, in bytes.")
]
MaxImagePixels = Annotated[
    int, typer.Option(envvar=_env("MAX_IMAGE_PIXELS"), min=1, help="Largest image, in pixels (width times height).")
]
MaxConnectionAge = Annotated[
    float,
    typer.Option(
        envvar=_env("MAX_CONNECTION_AGE"), min=1, help="Seconds until a connection is renewed; streams end before."
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        envvar=_env("METRICS_PORT"),
        min=0,
        max=65535,
        help=f"Port of /metrics; 0 picks a free one. Left out: {METRICS_PORT}, or a free one if --port is 0.",
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

_STARTUP_FAILURES = (
    weights_module.WeightsUnavailable,
    calibration.Uncalibrated,
    Unsupported,
    MemoryError,  # not even one image fits
    RuntimeError,  # a port is taken, or spans cannot be sent
)
_CACHE_DIR = platformdirs.user_cache_path("lookalike")


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Host = Config.host,
    port: Port = Config.port,
    weights: WeightsFile = Config.weights,
    weights_sha256: WeightsSha256 = Config.weights_sha256,
    cache_dir: CacheDir = _CACHE_DIR,
    device: Device = "auto",
    precision: Precision = "auto",
    workers: Workers = Config.workers,
    max_batch_size: MaxBatchSize = Config.max_batch_size,
    max_waiting: MaxWaiting = Config.max_waiting,
    max_streams: MaxStreams = Config.max_streams,
    max_in_flight_bytes: MaxInFlightBytes = Config.max_in_flight_bytes,
    max_decoding_pixels: MaxDecodingPixels = Config.max_decoding_pixels,
    decode_threads: DecodeThreads = Config.decode_threads,
    cache_size: CacheSize = Config.cache_size,
    max_image_bytes: MaxImageBytes = Config.max_image_bytes,
    max_image_pixels: MaxImagePixels = Config.max_image_pixels,
    max_connection_age: MaxConnectionAge = Config.max_connection_age,
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
    """Serve embeddings over gRPC until SIGTERM or SIGINT."""
    logs.configure(log_level, log_format, audit_log)
    security = Security(
        tls_cert, tls_key, tls_client_ca, jwks, jwks_url or None, token_audience, token_issuer or None, token_rate
    )
    config = Config(
        cache_dir=cache_dir,
        host=host,
        port=port,
        weights=weights,
        weights_sha256=weights_sha256,
        device=device,
        precision=precision,
        workers=workers,
        max_batch_size=max_batch_size,
        max_waiting=max_waiting,
        max_streams=max_streams,
        max_in_flight_bytes=max_in_flight_bytes,
        max_decoding_pixels=max_decoding_pixels,
        decode_threads=decode_threads,
        cache_size=cache_size,
        max_image_bytes=max_image_bytes,
        max_image_pixels=max_image_pixels,
        max_connection_age=max_connection_age,
        metrics_port=metrics_port,
        probe_interval=probe_interval,
        grace=grace,
        security=security,
    )
    if context.invoked_subcommand:
        context.obj = config
        return
    try:
        security.check(host, insecure=insecure)
        with tracing.exporting("lookalike-embedder"), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(cancelled_when_terminated(run(config, announce=typer.echo)))
    except (DeviceLost, Stuck) as error:  # the interpreter would wait for them for ever
        logging.getLogger(__name__).critical("%s", error)
        os._exit(1)
    except InvalidSecurity as error:
        raise typer.BadParameter(str(error)) from error
    except _STARTUP_FAILURES as error:
        raise SystemExit(f"lookalike-embedder: {error}") from error
    except (KeyboardInterrupt, asyncio.CancelledError):  # while it started
        raise SystemExit(130) from None


@app.command()
def weights(context: typer.Context) -> None:
    """Find or fetch the VGG16 weights, check them, and say where they are."""
    config: Config = context.obj
    try:
        found = weights_module.resolve(config.weights, config.cache_dir, config.weights_sha256)
    except weights_module.WeightsUnavailable as error:
        raise SystemExit(f"lookalike-embedder: {error}") from error
    kept = config.weights or weights_module.cache_file(config.cache_dir, found.sha256)
    typer.echo(f"{kept}\n  from {found.source}\n  sha256 over the tensors: {found.sha256}")


def _photos(folder: Path, limits: Limits) -> list[Pixels]:
    """What can be decoded of a folder's files."""
    photos = []
    for file in sorted(folder.iterdir()):
        with suppress(InvalidImage, OSError):
            photos.append(decode(file.read_bytes(), limits=limits)[1])
    return photos


@app.command()
def calibrate(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Some dozens of typical photos.")],
) -> None:
    """Measure the calibration that --precision int8 needs for weights other than the published ones."""
    config: Config = context.obj
    from lookalike_embedder.model.onednn import growth_of

    try:
        found = weights_module.resolve(config.weights, config.cache_dir, config.weights_sha256)
    except weights_module.WeightsUnavailable as error:
        raise SystemExit(f"lookalike-embedder: {error}") from error
    photos = _photos(folder, Limits(config.max_image_bytes, config.max_image_pixels))
    if not photos:
        raise SystemExit(f"lookalike-embedder: there is no photo in {folder}")
    growth = growth_of(found.tensors, photos)
    file = calibration.cache_file(config.cache_dir, found.sha256)
    calibration.keep(file, found.sha256, growth)
    typer.echo(f"{file}\n  over {len(photos)} photos\n  for the weights {found.sha256}")


def main() -> None:
    """The console script."""
    app(prog_name="lookalike-embedder")


if __name__ == "__main__":
    main()
