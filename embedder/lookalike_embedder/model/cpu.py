"""Compute the model on a CPU."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookalike_embedder import batch_size
from lookalike_embedder.autotuning import Trials, Way
from lookalike_embedder.errors import OutOfMemory
from lookalike_embedder.image import Pixels
from lookalike_embedder.job import Lane
from lookalike_embedder.model.head import Head, Maps, rmac
from lookalike_embedder.model.onednn import CONV5, Layer, dequantized
from lookalike_embedder.model.trials import layers_of
from lookalike_embedder.preprocessing import VGG16
from lookalike_embedder.projection import Projection


class CpuModel:
    """The model computes on the cores of a CPU; see `batcher.Compute`.

    An interactive call uses all cores. Bulk calls use one core each, side by side: two of one core measured up to a
    sixth faster than one after the other on two cores, as no core waits for another. Only one thread may ever make
    interactive calls: the OpenMP of a second thread makes that of the first one slower by a quarter.

    Args:
        tensors: the trunk's weights.
        precision: `fp32`, `bf16`, `fp16` or `int8`.
        growth: the calibration of int8.
        projection: that of the head, if there is one.
        transformed: whether to use the convolutions of `winograd`; see `autotuning.Way`.
        trials: what was measured to choose this way to compute.
    """

    device = "cpu"
    preprocessing = VGG16
    largest_batch = batch_size.LARGEST

    def __init__(
        self,
        tensors: Mapping[str, NDArray[np.float32]],
        precision: str,
        growth: Sequence[float] = (),
        projection: Projection | None = None,
        *,
        transformed: bool = False,
        trials: Trials = (),
    ) -> None:
        self.trials = trials
        self.precision = precision
        self._head = Head(rmac, projection)
        self._cores = torch.get_num_threads()
        with torch.inference_mode():
            self._input, self._layers = layers_of(Way(precision, transformed), tensors, growth)

    def __call__(
        self, pixels: Sequence[Pixels], lane: Lane = Lane.INTERACTIVE, pause: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        """Return vectors [n, 512], each of length 1, from n times pixels [SIZE, SIZE, 3]."""
        torch.set_num_threads(self._cores if lane is Lane.INTERACTIVE else 1)  # of this thread's calls only
        try:
            with torch.inference_mode():
                return np.concatenate([self._vectors(part, pause) for part in self._parts(pixels)])
        except RuntimeError as error:
            if "can't allocate memory" in str(error):  # the message of torch's allocator for CPUs
                raise OutOfMemory from error
            raise

    def warm(self, limit: int, bulk_workers: int) -> int:
        """Return `limit`: for a CPU there is nothing to prepare."""
        return limit

    def jpegs(self, threads: int) -> None:
        """Return None: Pillow decodes all JPEGs."""

    def prepare(self, pixels: Sequence[Pixels]) -> Any:  # noqa: ANN401 - what the layers take
        """Return the trunk's input from n images; for int8, n must be 1."""
        return self._input(torch.from_numpy(np.stack(pixels)))

    def forward(self, batch: Any) -> Tensor:  # noqa: ANN401 - as above
        """Run the forward pass over a prepared batch, without head or copies, for benchmarks to compare with."""
        return self.maps(batch).conv5

    def maps(self, batch: Any) -> Maps:  # noqa: ANN401 - as above
        """Return the feature maps of a prepared batch."""
        with torch.inference_mode():
            return self._maps(batch, lambda: None)

    def _vectors(self, pixels: Sequence[Pixels], pause: Callable[[], None]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self._head(self._maps(self.prepare(pixels), pause)).numpy()
        return vectors

    def _maps(self, x: Any, pause: Callable[[], None]) -> Maps:  # noqa: ANN401 - as above
        conv4 = _through(self._layers[:-CONV5], x, pause)
        return Maps(dequantized(conv4), _through(self._layers[-CONV5:], conv4, pause))

    def _parts(self, pixels: Sequence[Pixels]) -> Sequence[Sequence[Pixels]]:
        """Return the parts that are computed at once: in int8 single images, as each has its own scales."""
        if self.precision == "int8":
            return [pixels[n : n + 1] for n in range(len(pixels))]
        return [pixels]


def _through(layers: Sequence[Layer], x: Any, pause: Callable[[], None]) -> Any:  # noqa: ANN401 - what the layers take
    for layer in layers:
        pause()
        x = layer(x)
    return x
