"""Measure each way to compute the trunk on this processor: its time, and how near its vectors are to those of fp32."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lookalike_embedder.autotuning import OWN_SPACE, WAYS, Trial, Trials, Way
from lookalike_embedder.image import SIZE, Pixels
from lookalike_embedder.model import hardware, onednn
from lookalike_embedder.model.head import rmac
from lookalike_embedder.processor import CORES

_AT_ONCE: Final = min(CORES, 8)
"""So many cores compute side by side, as bulk work does: they share what memory can deliver."""
_CELLS: Final = (7, 28, 112)
"""The pictures are noise in so many cells per side, blurred: light and shadow, shapes, and a texture."""

Layers = tuple[onednn.Layer, Sequence[onednn.Layer]]


def available(growth: Sequence[float] = ()) -> list[str]:
    """Return the names of the ways that this processor has; int8 only with its calibration."""
    return [
        name
        for name, way in WAYS.items()
        if hardware.computes_on_cpu(way.precision) and (name != OWN_SPACE or len(growth) > 0)
    ]


def layers_of(way: Way, tensors: onednn.Tensors, growth: Sequence[float] = ()) -> Layers:
    """Return what prepares the pixels of an image, and the layers of the trunk."""
    if way.precision == "int8":
        return onednn.pixels_as_they_are, onednn.int8_layers(tensors, growth)
    dtype = hardware.DTYPES[way.precision]
    return onednn.pixels_to_float(dtype), onednn.float_layers(tensors, dtype, transformed=way.transformed)


def measure(tensors: Mapping[str, NDArray[np.float32]], growth: Sequence[float] = ()) -> Trials:
    """Return a trial of each way that this processor has.

    The ways take turns, over each of the pictures; the least time counts. It is the time of the processor and not that
    of a clock: beside other work, one image took 800 ms instead of 120, and 125 ms of the processor all the same.
    """
    ways = {name: layers_of(WAYS[name], tensors, growth) for name in available(growth)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    cosines: dict[str, list[float]] = {name: [] for name in ways}
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # threads of their own: the memory that torch keeps for them ends
        for pixels in pictures():
            exact: Tensor | None = None
            for name, layers in ways.items():
                timed = list(pool.map(partial(_timed, layers), [pixels] * _AT_ONCE))
                seconds[name].append(sum(took for took, _ in timed) / _AT_ONCE)
                vector = timed[0][1]
                exact = vector if exact is None else exact
                cosines[name].append(float((vector * exact).sum()))
    return tuple(Trial(name, min(seconds[name]), min(cosines[name])) for name in ways)


def pictures() -> list[Pixels]:
    """Return pictures that are always the same: coarse, medium and fine noise, blurred."""
    random = np.random.default_rng(0)
    noise = (random.integers(0, 256, (cells, cells, 3), np.uint8) for cells in _CELLS)
    return [np.asarray(Image.fromarray(cells).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for cells in noise]


def _timed(layers: Layers, pixels: Pixels) -> tuple[float, Tensor]:
    """Return the processor time of an image on one core, and its vector."""
    prepare, trunk = layers
    torch.set_num_threads(1)  # of this thread's calls only
    with torch.inference_mode():
        started = time.thread_time()
        x: Any = prepare(torch.from_numpy(pixels.copy())[None])
        for layer in trunk:
            x = layer(x)
        vector = rmac(x)
        return time.thread_time() - started, vector[0]
