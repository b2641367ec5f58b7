"""Let a device fail for good: a GPU really, by an index out of bounds in a kernel; a CPU by an exception."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder.errors import DeviceLost
from lookalike_embedder.job import Lane
from lookalike_embedder.loading import Loaded


def losing(loaded: Loaded, device: str) -> Loaded:
    """Return the same model, which loses its device on a picture that is all black."""

    def compute(pixels: Sequence[Any], lane: Lane, pause: Callable[[], None]) -> NDArray[np.float32]:
        if any(not image.any() for image in pixels):
            _fail(device)
        return loaded.compute(pixels, lane, pause)

    return replace(loaded, compute=compute)


def _fail(device: str) -> None:
    if device != "cuda":
        raise DeviceLost
    import torch

    table, place = torch.zeros(4, device="cuda"), torch.tensor([1 << 20], device="cuda")
    table[place]  # its kernel asserts, which the next call of the model reports
