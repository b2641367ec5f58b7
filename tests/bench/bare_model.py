"""The bare forward loop: what the model does on ready tensors when nothing is around it."""

import time

import numpy as np
import torch

from lookalike_embedder.image import SIZE
from lookalike_embedder.model import CpuModel, CudaModel

Model = CpuModel | CudaModel

_TRIAL_SECONDS = 1.5
_SIZES = {"cpu": (1, 2, 4, 8), "cuda": (16, 32, 64, 128)}


def pace(model: Model, batch_size: int, seconds: float) -> float:
    """Images per second of the trunk alone, over the same ready tensor again and again."""
    pixels = np.random.default_rng(0).integers(0, 256, (batch_size, SIZE, SIZE, 3), np.uint8)
    batch = model.prepare(list(pixels))

    def forward() -> None:
        model.forward(batch)
        if model.device == "cuda":
            torch.cuda.synchronize()  # else the loop would only count what it has queued

    forward()
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        forward()
        done += batch_size
    return done / elapsed


def best_size(model: Model) -> int:
    """The batch size at which the bare loop is fastest."""
    return max(_SIZES[model.device], key=lambda size: pace(model, size, _TRIAL_SECONDS))
