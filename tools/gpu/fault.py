"""A device that fails for good: on a GPU for real, by an index out of bounds in a kernel; on a CPU it is told so."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike_embedder.errors import DeviceLost
from lookalike_embedder.job import Lane
from lookalike_embedder.server import Loaded


def losing(loaded: Loaded, device: str) -> Loaded:
    """The same model; on a picture that is all black it loses its device."""

    def compute(pixels: Sequence[Any], lane: Lane, pause: Callable[[], None]) -> NDArray[np.float32]:
        if any(not one.any() for one in pixels):
            _fail(device)
        return loaded.compute(pixels, lane, pause)

    return replace(loaded, compute=compute)


def _fail(device: str) -> None:
    if device != "cuda":
        raise DeviceLost
    import torch

    table, place = torch.zeros(4, device="cuda"), torch.tensor([1 << 20], device="cuda")
    table[place]  # asserts in its kernel, of which nobody knows before the model asks for something
