"""Load the model, find its best batch size, warm it up, and describe it."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lookalike.constants import MAX_TEXT_CHARACTERS
from lookalike.v1 import embedder_pb2 as wire
from lookalike_embedder import autotuning, batch_size, calibration, projection, space, weights
from lookalike_embedder.autotuning import Trials
from lookalike_embedder.batcher import Compute
from lookalike_embedder.config import Config
from lookalike_embedder.errors import Unsupported
from lookalike_embedder.image import FORMATS, JpegDecoder
from lookalike_embedder.job import Lane
from lookalike_embedder.preprocessing import VGG16, Preprocessing
from lookalike_embedder.projection import Projection
from lookalike_embedder.space import Identity
from lookalike_embedder.text import TextEncoder

if TYPE_CHECKING:
    from lookalike_embedder.onnx_model.compute import OnnxModel
    from lookalike_embedder.onnx_model.text import OnnxTextEncoder

logger = logging.getLogger(__name__)


class Model(Compute, Protocol):
    """The model computes vectors, and says of itself what the embedder must know.

    Attributes:
        device: where it computes, `cpu` or `cuda`.
        precision: how it computes.
        preprocessing: what it sees of a picture.
        largest_batch: the most images that it computes at once.
        trials: what was measured to choose how to compute; empty where there was nothing to choose.
    """

    device: str
    precision: str
    preprocessing: Preprocessing
    largest_batch: int
    trials: Trials

    def warm(self, limit: int, bulk_workers: int) -> int:
        """Prepare for batches of up to `limit` images. Returns how many there is memory for."""

    def jpegs(self, threads: int) -> JpegDecoder | None:
        """Return a decoder for large JPEGs that is faster than so many threads of the processor, if there is one."""


@dataclass(frozen=True)
class Loaded:
    """The model is loaded and warm.

    With it come its description, what it sees of a picture, a decoder for large JPEGs if it is not Pillow's, and its
    text encoder if it has one.
    """

    compute: Compute
    description: wire.GetModelResponse
    preprocessing: Preprocessing = VGG16
    jpegs: JpegDecoder | None = None
    text: TextEncoder | None = None


def load_model(config: Config) -> Loaded:
    """Load the model, warm it up, and describe it. Call this on the interactive worker's thread.

    Raises:
        weights.WeightsUnavailable: no source has the weights.
        calibration.Uncalibrated: int8 was asked for, and the weights have no calibration.
        projection.InvalidProjection: a file holds no projection, or not the one that was published.
        InvalidModel: the ONNX file or its TOML is wrong.
        Unsupported: the device, the precision or fingerprints were asked for and are not available.
    """
    if not config.no_fingerprints and find_spec("cv2") is None:
        raise Unsupported("fingerprints: need OpenCV, the package opencv-python-headless; or use --no-fingerprints")
    if config.model:
        return onnx(config, config.model)
    if config.device == "openvino":
        raise Unsupported("device: 'openvino' is for the ONNX file of --model; VGG16 is as fast without it, take 'cpu'")
    trunk = weights.resolve(config.weights, config.cache_dir, config.weights_sha256)
    logger.info("weights from %s", trunk.source)
    growth = calibration.find(config.cache_dir, trunk.sha256) if config.precision == "int8" else ()
    return vgg16(config, trunk, growth)


def vgg16(config: Config, trunk: weights.Weights, growth: tuple[float, ...] = ()) -> Loaded:
    """Load VGG16 with these weights, warm it up, and describe it; see `load_model`."""
    from lookalike_embedder import model

    head = projection_of(config)
    loaded = model.load(
        trunk.tensors,
        device=config.device,
        precision=config.precision,
        growth=growth,
        projection=head,
        measure=partial(measured, config, trunk),
    )
    int8, projected = calibration.digest(growth) if growth else "", head.sha256 if head else ""
    return warmed(config, loaded, space.vgg16(trunk.sha256, int8, projected))


def projection_of(config: Config) -> Projection | None:
    """Return what turns R-MAC beside two grids into a vector; None where R-MAC is the vector.

    Raises:
        projection.InvalidProjection: a file holds no projection, or not the one that was published.
        Unsupported: a projection was named for R-MAC.
    """
    if config.descriptor == "layout":
        return projection.read(config.projection) if config.projection else projection.shipped()
    if config.projection:
        raise Unsupported("projection: is of the descriptor 'layout', and must be left out with 'rmac'")
    return None


def measured(config: Config, trunk: weights.Weights, *, anew: bool = False) -> Trials:
    """Return how fast this processor is in each way to compute; measured at the first start, or `anew`."""
    from lookalike_embedder.model import trials

    try:
        growth = calibration.find(config.cache_dir, trunk.sha256)
    except calibration.Uncalibrated:  # without int8, then
        growth = ()
    key = autotuning.key(trunk.sha256, trials.available(growth), calibration.digest(growth) if growth else "")
    return autotuning.find(config.cache_dir, key, lambda: trials.measure(trunk.tensors, growth), anew=anew)


def onnx(config: Config, file: Path) -> Loaded:
    """Load the model of an ONNX file, warm it up, and describe it; see `load_model`."""
    if config.descriptor != "layout":
        raise Unsupported(f"descriptor: is of VGG16, and must be left out where the model is {file}")
    if config.projection:
        raise Unsupported(f"projection: is of VGG16, and must be left out where the model is {file}")
    if config.weights:
        raise Unsupported(f"weights: are VGG16's, and must be left out where the model is {file}")
    if config.precision != "auto":
        raise Unsupported(f"precision: is what the file {file} computes in; leave it 'auto'")
    try:
        from lookalike_embedder.onnx_model import compute, proof
    except ImportError as error:
        raise Unsupported(
            f"model: ONNX Runtime is needed, by the extra onnx, onnx-cuda or onnx-openvino: {error}"
        ) from error
    model = compute.load(file, config.device)
    if config.max_batch_size > model.largest_batch:
        raise Unsupported(
            f"max-batch-size: must be at most {model.largest_batch} for {file}, got {config.max_batch_size}; see"
            f" {model.said.place('limits.max_batch_size')}"
        )
    dimensions = proof.dimensions(model)
    encoder = _text_encoder(model, dimensions, config.device)
    identity = model.identity(dimensions, encoder.recipe if encoder else "")
    logger.info("%s: %d dimensions, licence %s", file, dimensions, model.said.licence)
    return warmed(config, model, identity, encoder)


def _text_encoder(model: "OnnxModel", dimensions: int, device: str) -> "OnnxTextEncoder | None":
    """Return the text encoder that the model's TOML names, if it names one."""
    if not (said := model.said.text_encoder):
        return None
    try:
        from lookalike_embedder.onnx_model import text
    except ImportError as error:
        raise Unsupported(
            f"{model.said.place('text.tokenizer')}: the library tokenizers is needed, by the extra onnx, onnx-cuda or"
            f" onnx-openvino: {error}"
        ) from error
    encoder = text.load(model.said, said, device, on_gpu=model.device == "cuda")
    encoder.check(dimensions)
    return encoder


def warmed(config: Config, model: Model, identity: Identity, text: TextEncoder | None = None) -> Loaded:
    """Warm a model up, and describe it."""
    max_batch_size = model.warm(config.max_batch_size or knee_of(model), config.workers_on(model.device))
    size = model.preprocessing.size
    model([np.zeros((size, size, 3), np.uint8)], Lane.INTERACTIVE, lambda: None)  # on all cores
    description = describe(config, identity, model.device, model.precision, max_batch_size, text, model.trials)
    return Loaded(model, description, model.preprocessing, model.jpegs(config.decode_threads), text)


def describe(
    config: Config,
    identity: Identity,
    device: str,
    precision: str,
    max_batch_size: int,
    text: TextEncoder | None = None,
    trials: Trials = (),
) -> wire.GetModelResponse:
    """Return the answer to GetModel for the model that was loaded."""
    return wire.GetModelResponse(
        space=identity.space,
        dimensions=identity.dimensions,
        architecture=identity.architecture,
        weights_sha256=identity.weights_sha256,
        device=device,
        precision=precision,
        max_batch_size=max_batch_size,
        max_image_bytes=config.max_image_bytes,
        max_image_pixels=config.max_image_pixels,
        formats=FORMATS,
        text_encoder=wire.TextEncoder(max_characters=MAX_TEXT_CHARACTERS, max_tokens=text.max_tokens) if text else None,
        trials=[wire.Trial(way=one.way, seconds=one.seconds, cosine=one.cosine, chosen=one.chosen) for one in trials],
    )


def knee_of(model: Model) -> int:
    """Return the smallest batch size at which the bulk lane is nearly at its best pace.

    Batches are measured with noise: a GPU multiplies zeros with less power, and so faster than any photo.
    """
    size = model.preprocessing.size
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)

    def pace(images: int) -> float:
        return batch_size.measure(lambda: model([noise] * images, Lane.BULK, lambda: None), images)

    with ThreadPoolExecutor(1) as bulk:  # a thread of its own: the model's memory for it is freed with it
        best, paces = bulk.submit(batch_size.find, pace, model.largest_batch).result()
    measured = ", ".join(f"{images}: {pace:.1f}" for images, pace in paces.items())
    logger.info("batches of %d; images/s of one worker by batch size: %s", best, measured)
    return best
