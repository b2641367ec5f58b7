"""Run `lookalike-embedder`: serve, fetch the weights, calibrate int8, measure the processor, or export a model."""

import asyncio
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from lookalike.escape import escape_lines
from lookalike.signals import cancelled_when_terminated
from lookalike_embedder import autotuning, calibration, exporting, loading
from lookalike_embedder import weights as weights_module
from lookalike_embedder.config import Config
from lookalike_embedder.errors import DeviceLost, InvalidModel, Stuck, Unsupported
from lookalike_embedder.image import Limits
from lookalike_embedder.preprocessing import VGG16, Preprocessing
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
    InvalidModel,
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


def _photos(config: Config, folder: Path, preprocessing: Preprocessing = VGG16) -> list[exporting.Photo]:
    """Return what can be decoded of a folder's files. Ends the program if that is nothing."""
    limits = Limits(config.max_image_bytes, config.max_image_pixels)
    if not (photos := list(exporting.photos_of(folder, limits, preprocessing))):
        raise SystemExit(f"lookalike-embedder: there is no photo in {folder}")
    return photos


_Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Some dozens of typical photos.")]


@app.command()
def calibrate(
    context: typer.Context,
    folder: _Folder,
) -> None:
    """Measure the calibration that --precision int8 needs for weights other than the published ones."""
    config: Config = context.obj
    from lookalike_embedder.model.onednn import growth_of

    try:
        resolved = weights_module.resolve(config.weights, config.cache_dir, config.weights_sha256)
    except weights_module.WeightsUnavailable as error:
        raise _ended(error) from error
    photos = _photos(config, folder)
    growth = growth_of(resolved.tensors, [photo.pixels for photo in photos])
    file = calibration.cache_file(config.cache_dir, resolved.sha256)
    calibration.keep(file, resolved.sha256, growth)
    typer.echo(f"{file}\n  over {len(photos)} photos\n  for the weights {resolved.sha256}")


@app.command()
def measure(context: typer.Context) -> None:
    """Measure anew how fast this processor is in each way to compute; the next start chooses by it."""
    config: Config = context.obj
    from lookalike_embedder import loading

    try:
        resolved = weights_module.resolve(config.weights, config.cache_dir, config.weights_sha256)
    except weights_module.WeightsUnavailable as error:
        raise _ended(error) from error
    _, trials = autotuning.choose(loading.measured(config, resolved, anew=True), "auto")
    typer.echo(autotuning.described(trials))


@app.command()
def export(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="timm:NAME, torchvision:NAME, or vgg16.")],
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write; it ends in .onnx.")],
    folder: _Folder,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Download the library's weights.")] = False,
    state: Annotated[Path | None, typer.Option(help="The network's weights, .safetensors.")] = None,
    random: Annotated[bool, typer.Option("--random", help="Random weights, to try what a network costs.")] = False,
    licence: Annotated[str, typer.Option(help="The licence of the weights; left out: as the library says.")] = "",
    int8: Annotated[bool, typer.Option("--int8", help="Quantise, calibrated on the photos.")] = False,
    min_cosine: Annotated[
        float | None, typer.Option(min=0, max=1, help="The least cosine to the original; .9999, or .98 for int8.")
    ] = None,
) -> None:
    """Write a network as an ONNX file for --model, with its TOML, and compare it to the original on photos."""
    config: Config = context.obj
    if file.suffix != ".onnx":
        raise SystemExit(f"lookalike-embedder: file: must end in .onnx, got {file}")
    if source != "vgg16" and [pretrained, state is not None, random].count(True) != 1:
        raise SystemExit("lookalike-embedder: one of --pretrained, --state FILE and --random is needed")
    try:
        library, name = exporting.source_of(source)
        from lookalike_embedder.model import originals

        if library == "vgg16":
            resolved = weights_module.resolve(config.weights, config.cache_dir, config.weights_sha256)
            original = originals.vgg16(resolved, loading.projection_of(config))
        else:
            original = getattr(originals, library)(name, pretrained=pretrained)
        if state:
            originals.fill(original, state)
        original = replace(original, licence=licence or original.licence)
        photos = _photos(config, folder, original.preprocessing)
        done = exporting.export(original, file, photos, int8=int8, min_cosine=min_cosine)
    except ImportError as error:
        raise SystemExit(f"lookalike-embedder: install the extras export and onnx: {error}") from error
    except _STARTUP_FAILURES as error:
        raise _ended(error) from error
    typer.echo(
        f"{file}, {file.with_suffix('.toml')}\n  {done.dimensions} dimensions, licence {original.licence}\n"
        f"  worst cosine to the original over {done.photos} photos: {done.worst_cosine:.5f}"
    )
    if done.worst_author_cosine is not None:
        typer.echo(f"  with its author's own preprocessing: {done.worst_author_cosine:.5f}")


def main() -> None:
    """Run the console script `lookalike-embedder`."""
    app(prog_name="lookalike-embedder")


if __name__ == "__main__":
    main()
