"""Run `lookalike-embedder`: serve, fetch the weights, or calibrate int8."""

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from lookalike.escape import escape_lines
from lookalike.signals import cancelled_when_terminated
from lookalike_embedder import calibration
from lookalike_embedder import weights as weights_module
from lookalike_embedder.config import Config
from lookalike_embedder.errors import DeviceLost, InvalidImage, Stuck, Unsupported
from lookalike_embedder.image import Limits, Pixels, decode
from lookalike_embedder.projection import InvalidProjection
from lookalike_embedder.server import run
from lookalike_serving import logs, tracing
from lookalike_serving.options import configured
from lookalike_serving.security.config import InvalidSecurity

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


_STARTUP_FAILURES = (
    weights_module.WeightsUnavailable,
    calibration.Uncalibrated,
    InvalidProjection,
    Unsupported,
    MemoryError,  # not even one image fits
    OSError,  # a port is taken
    RuntimeError,  # gRPC cannot listen, or spans cannot be sent
)


def _ended(failure: Exception) -> SystemExit:
    """Return the end of the program, which prints the failure; its text may be of others."""
    return SystemExit(f"lookalike-embedder: {escape_lines(str(failure))}")


@app.callback(invoke_without_command=True)
@configured(Config, "LOOKALIKE_EMBEDDER_")
def serve(context: typer.Context, config: Config) -> None:
    """Serve embeddings over gRPC until SIGTERM or SIGINT."""
    logs.configure(config.log_level, config.log_format, config.audit_log)
    if context.invoked_subcommand:
        context.obj = config
        return
    try:
        config.security.check(config.host)
        with tracing.exporting("lookalike-embedder"), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(cancelled_when_terminated(run(config, announce=typer.echo)))
    except (DeviceLost, Stuck) as error:  # the interpreter would wait for them for ever
        logging.getLogger(__name__).critical("%s", error)
        os._exit(1)
    except InvalidSecurity as error:
        raise typer.BadParameter(str(error)) from error
    except _STARTUP_FAILURES as error:
        raise _ended(error) from error
    except asyncio.CancelledError:  # SIGTERM while it started, which is an orderly end
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


@app.command()
def weights(context: typer.Context) -> None:
    """Find or fetch the VGG16 weights, check them, and say where they are."""
    config: Config = context.obj
    try:
        resolved = weights_module.resolve(config.weights, config.cache_dir, config.weights_sha256)
    except weights_module.WeightsUnavailable as error:
        raise _ended(error) from error
    file = config.weights or weights_module.cache_file(config.cache_dir, resolved.sha256)
    typer.echo(f"{file}\n  from {resolved.source}\n  sha256 over the tensors: {resolved.sha256}")


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
        resolved = weights_module.resolve(config.weights, config.cache_dir, config.weights_sha256)
    except weights_module.WeightsUnavailable as error:
        raise _ended(error) from error
    photos = _photos(folder, Limits(config.max_image_bytes, config.max_image_pixels))
    if not photos:
        raise SystemExit(f"lookalike-embedder: there is no photo in {folder}")
    growth = growth_of(resolved.tensors, photos)
    file = calibration.cache_file(config.cache_dir, resolved.sha256)
    calibration.keep(file, resolved.sha256, growth)
    typer.echo(f"{file}\n  over {len(photos)} photos\n  for the weights {resolved.sha256}")


def main() -> None:
    """Run the console script `lookalike-embedder`."""
    app(prog_name="lookalike-embedder")


if __name__ == "__main__":
    main()
