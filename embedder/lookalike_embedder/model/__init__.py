"""Compute VGG16 and a descriptor of its feature maps on a CPU or on a GPU. No other package imports torch."""

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder import autotuning
from lookalike_embedder.autotuning import OWN_SPACE, WAYS, Trials, Way
from lookalike_embedder.model import hardware, trials
from lookalike_embedder.model.cpu import CpuModel
from lookalike_embedder.model.cuda import CudaModel
from lookalike_embedder.model.jpeg import GpuJpegs
from lookalike_embedder.projection import Projection

__all__ = ["CpuModel", "CudaModel", "GpuJpegs", "load"]

logger = logging.getLogger(__name__)

Tensors = Mapping[str, NDArray[np.float32]]


def load(
    tensors: Tensors,
    *,
    device: str = "auto",
    precision: str = "auto",
    growth: Sequence[float] = (),
    projection: Projection | None = None,
    measure: Callable[[], Trials] | None = None,
) -> CpuModel | CudaModel:
    """Return the model, loaded on its device.

    Args:
        tensors: the trunk's weights, by torchvision's names; see `weights`.
        device: `cpu`, `cuda`, or `auto`: a GPU if there is one.
        precision: `fp32`, `bf16`, `fp16`, `int8` (on a CPU), or `auto`: on a CPU what is fastest of fp32 and bf16, and
            on a GPU bf16 if the hardware computes in it, else fp16.
        growth: the calibration of int8; see `calibration`.
        projection: what turns R-MAC beside two grids into a vector; None: R-MAC is the vector.
        measure: returns how fast this processor is in each way; None: it is measured here. It is called if there is
            something to choose.

    Raises:
        Unsupported: this machine does not compute on that device, or in that precision.
    """
    device = hardware.choose_device(device)
    precision = hardware.choose_precision(precision, device)
    if device == "cuda":
        return CudaModel(tensors, precision, projection=projection)
    way, found = _way(precision, measure or (lambda: trials.measure(tensors)))
    return CpuModel(tensors, way.precision, growth, projection, transformed=way.transformed, trials=found)


def _way(precision: str, measure: Callable[[], Trials]) -> tuple[Way, Trials]:
    """Return the way to compute on this processor, and what was measured to choose it."""
    ways = [name for name in trials.available() if precision in ("auto", WAYS[name].precision) and name != OWN_SPACE]
    if len(ways) > 1:
        way, found = autotuning.choose(measure(), precision)
        logger.info("%s", autotuning.described(found))
        return way, found
    way = WAYS[ways[0]] if ways else Way(precision)
    logger.info("computing in %s; for a precision of '%s' nothing else is to choose here", way.precision, precision)
    return way, ()
