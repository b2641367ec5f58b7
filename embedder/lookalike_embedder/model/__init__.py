"""Compute VGG16 with an R-MAC head, projected or not, on a CPU or on a GPU. No other package imports torch."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder.model import hardware
from lookalike_embedder.model.cpu import CpuModel
from lookalike_embedder.model.cuda import CudaModel
from lookalike_embedder.model.jpeg import GpuJpegs
from lookalike_embedder.projection import Projection

__all__ = ["CpuModel", "CudaModel", "GpuJpegs", "load"]

Tensors = Mapping[str, NDArray[np.float32]]


def load(
    tensors: Tensors,
    *,
    device: str = "auto",
    precision: str = "auto",
    growth: Sequence[float] = (),
    projection: Projection | None = None,
) -> CpuModel | CudaModel:
    """Return the model, loaded on its device.

    Args:
        tensors: the trunk's weights, by torchvision's names; see `weights`.
        device: `cpu`, `cuda`, or `auto`: a GPU if there is one.
        precision: `fp32`, `bf16`, `fp16`, `int8` (on a CPU), or `auto`: bf16 if the hardware computes in it, else fp16
            on a GPU and fp32 on a CPU.
        growth: the calibration of int8; see `calibration`.
        projection: what turns R-MAC beside a grid into a vector; None: R-MAC is the vector.

    Raises:
        Unsupported: this machine does not compute on that device, or in that precision.
    """
    device = hardware.choose_device(device)
    precision = hardware.choose_precision(precision, device)
    if device == "cuda":
        return CudaModel(tensors, precision, projection=projection)
    return CpuModel(tensors, precision, growth, projection)
