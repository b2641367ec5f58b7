"""`lookalike-embedder`: serve, or fetch the weights and end."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
import typer

from lookalike.signals import cancelled_when_terminated
from lookalike_embedder import weights as weights_module
from lookalike_embedder.config import Config
from lookalike_embedder.server import run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _env(name: str) -> str:
    return f"LOOKALIKE_EMBEDDER_{name}"


Host = Annotated[str, typer.Option(envvar=_env("HOST"), help="Interface to listen on.")]
Port = Annotated[int, typer.Option(envvar=_env("PORT"), min=0, max=65535, help="Port; 0 picks a free one.")]
WeightsFile = Annotated[
    Path | None,
    typer.Option(envvar=_env("WEIGHTS"), help="VGG16 weights, .safetensors or .pth; nothing else is tried."),
]
WeightsSha256 = Annotated[
    str, typer.Option(envvar=_env("WEIGHTS_SHA256"), help="The digest that the weights' tensors must have.")
]
CacheDir = Annotated[Path, typer.Option(envvar="LOOKALIKE_CACHE_DIR", help="Folder that keeps downloaded weights.")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(envvar=_env("DEVICE"), help="Where to compute.")]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"], typer.Option(envvar=_env("PRECISION"), help="How to compute.")
]
MaxBatchSize = Annotated[
    int, typer.Option(envvar=_env("MAX_BATCH_SIZE"), min=0, help="Most images per batch; 0: 64 on a GPU, 1 on a CPU.")
]
Workers = Annotated[
    int, typer.Option(envvar=_env("WORKERS"), min=0, help="Batches computed at once; 0: 2 on a GPU, one per CPU core.")
]
MaxWaiting = Annotated[int, typer.Option(envvar=_env("MAX_WAITING"), min=1, help="Most images that wait for a batch.")]
DecodeThreads = Annotated[int, typer.Option(envvar=_env("DECODE_THREADS"), min=1, help="Threads that decode images.")]
MaxImageBytes = Annotated[
    int, typer.Option(envvar=_env("MAX_IMAGE_BYTES"), min=1, help="Largest image file, in bytes.")
]
MaxImagePixels = Annotated[
    int, typer.Option(envvar=_env("MAX_IMAGE_PIXELS"), min=1, help="Largest image, in pixels (width times height).")
]
ProbeInterval = Annotated[
    float, typer.Option(envvar=_env("PROBE_INTERVAL"), min=0.1, help="Seconds between two health probes.")
]
Grace = Annotated[float, typer.Option(envvar=_env("GRACE"), min=0, help="Seconds for calls in flight to end.")]
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"], typer.Option(envvar="LOOKALIKE_LOG_LEVEL", help="Least level logged.")
]

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
    decode_threads: DecodeThreads = Config.decode_threads,
    max_image_bytes: MaxImageBytes = Config.max_image_bytes,
    max_image_pixels: MaxImagePixels = Config.max_image_pixels,
    probe_interval: ProbeInterval = Config.probe_interval,
    grace: Grace = Config.grace,
    log_level: LogLevel = "INFO",
) -> None:
    """Serve embeddings over gRPC until SIGTERM or SIGINT."""
    logging.basicConfig(level=log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
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
        decode_threads=decode_threads,
        max_image_bytes=max_image_bytes,
        max_image_pixels=max_image_pixels,
        probe_interval=probe_interval,
        grace=grace,
    )
    if context.invoked_subcommand:
        context.obj = config
        return
    try:
        asyncio.run(cancelled_when_terminated(run(config, announce=typer.echo)))
    except (weights_module.WeightsUnavailable, RuntimeError) as error:  # RuntimeError: the port is taken
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


def main() -> None:
    """The console script."""
    app(prog_name="lookalike-embedder")


if __name__ == "__main__":
    main()
