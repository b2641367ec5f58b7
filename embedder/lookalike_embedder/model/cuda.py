"""Compute the model on a GPU: channels last, a captured graph per batch size, pinned memory, a stream per worker."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lookalike_embedder import batch_size
from lookalike_embedder.autotuning import Trials
from lookalike_embedder.errors import DeviceLost, OutOfMemory
from lookalike_embedder.image import Pixels
from lookalike_embedder.job import Lane
from lookalike_embedder.model import jpeg
from lookalike_embedder.model.graph import Worker, is_lost, is_out_of_memory, size_for
from lookalike_embedder.model.hardware import DTYPES
from lookalike_embedder.model.head import Head, Maps, pooled_rmac
from lookalike_embedder.preprocessing import VGG16
from lookalike_embedder.projection import Projection
from lookalike_embedder.space import MEAN

_POOL4: Final = 24
"""torchvision's `features` up to the pooling of conv4_3."""
_CONV5_3: Final = 30
"""torchvision's `features` up to the ReLU of conv5_3; the fifth pooling would only blur R-MAC's regions."""
_PRIORITY: Final = {Lane.INTERACTIVE: -2, Lane.BULK: 0}
"""The priority of a worker's stream. Decoding on the GPU has -1: torch hands out 32 streams of a priority in turn, and
a stream that two threads share cannot be captured by either."""


class CudaModel:
    """The model computes on a GPU; see `batcher.Compute`. Each call takes a free worker of its lane.

    Args:
        tensors: the trunk's weights.
        precision: `fp32`, `bf16` or `fp16`.
        device: where to compute; a CPU, without streams and graphs, is for tests.
        captures: whether to capture graphs.
        projection: that of the head, if there is one.
    """

    preprocessing = VGG16
    largest_batch = batch_size.LARGEST
    trials: Trials = ()

    def __init__(
        self,
        tensors: Mapping[str, NDArray[np.float32]],
        precision: str,
        device: str = "cuda",
        *,
        captures: bool = True,
        projection: Projection | None = None,
    ) -> None:
        self.device, self.precision = device, precision
        self._dtype, self._captures = DTYPES[precision], captures
        if precision == "fp32":
            torch.backends.cudnn.allow_tf32 = False  # TF32 has ten bits of mantissa, as fp16 does
        from torchvision.models import vgg16  # seconds of imports, which a CPU's model does without

        with torch.device("meta"):  # otherwise the unused classifier would take half a gigabyte and a second
            trunk = vgg16(weights=None, init_weights=False).features[:_CONV5_3]
        state = {name.removeprefix("features."): torch.from_numpy(tensor) for name, tensor in tensors.items()}
        trunk.load_state_dict(state, assign=True)
        trunk = trunk.eval().to(device, self._dtype, memory_format=torch.channels_last)
        self._trunk: nn.Sequential = trunk.requires_grad_(requires_grad=False)
        self._head = Head(pooled_rmac, projection, device)
        self._mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1) * 255
        self._idle: dict[Lane, deque[Worker]] = {lane: deque() for lane in Lane}
        if device == "cuda":
            torch.cuda.synchronize()  # the workers' streams do not wait for this thread's, which made the weights

    def __call__(
        self, pixels: Sequence[Pixels], lane: Lane = Lane.INTERACTIVE, pause: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        """Return vectors [n, 512], each of length 1, from n times pixels [SIZE, SIZE, 3]."""
        with self._worker(lane) as worker:
            try:
                return worker(pixels)
            except RuntimeError as error:  # the failed call holds its memory until this block is left
                if not is_out_of_memory(error):
                    if is_lost(self.device):
                        raise DeviceLost from error
                    raise
            worker.forget()
            raise OutOfMemory

    def warm(self, limit: int, bulk_workers: int) -> int:
        """Capture the graphs of each worker, for each batch size up to `limit`, before the server is ready.

        Returns the largest batch size for which there is memory.

        Raises:
            OutOfMemory: there is not enough memory for a single image.
        """
        with ExitStack() as held:
            lanes = (Lane.INTERACTIVE, *(Lane.BULK for _ in range(bulk_workers)))
            workers = [held.enter_context(self._worker(lane)) for lane in lanes]
            while limit:
                for worker in workers:
                    worker.forget()
                if _prepared(workers, limit):
                    return limit
                limit //= 2
        raise OutOfMemory("there is not enough memory on the GPU to compute one image")

    def jpegs(self, threads: int) -> jpeg.GpuJpegs | None:
        """Return nvJPEG, if it is faster than so many threads of the processor."""
        return jpeg.choose(threads)

    @property
    def graphs(self) -> int:
        """Return how many graphs are captured, over the workers that are free now."""
        return sum(worker.graphs for workers in self._idle.values() for worker in workers)

    def prepare(self, pixels: Sequence[Pixels]) -> Tensor:
        """Return the trunk's input [n, 3, SIZE, SIZE] on the device, channels last."""
        return self._input(torch.from_numpy(np.stack(pixels)).to(self.device))

    def forward(self, batch: Tensor) -> Tensor:
        """Run the forward pass over a prepared batch, without head or copies, for benchmarks to compare with."""
        return self.maps(batch).conv5

    def maps(self, batch: Tensor) -> Maps:
        """Return the feature maps of a prepared batch."""
        with torch.inference_mode():
            return self._maps(batch)

    @contextmanager
    def _worker(self, lane: Lane) -> Iterator[Worker]:
        """Yield a free worker of the lane, or a new one. The one that was used last is taken first."""
        try:
            worker = self._idle[lane].pop()
        except IndexError:
            worker = Worker(self._vectors, self.device, _PRIORITY[lane], captures=self._captures)
        try:
            yield worker
        finally:
            self._idle[lane].append(worker)

    def _input(self, pixels: Tensor) -> Tensor:
        return (pixels.permute(0, 3, 1, 2) - self._mean).to(self._dtype)

    def _vectors(self, pixels: Tensor) -> Tensor:
        """Return what a graph captures: from uint8 pixels [n, SIZE, SIZE, 3] on the device to vectors on the device."""
        return self._head(self._maps(self._input(pixels)))

    def _maps(self, batch: Tensor) -> Maps:
        conv4 = self._trunk[:_POOL4](batch)
        return Maps(conv4, self._trunk[_POOL4:](conv4))


def _prepared(workers: Sequence[Worker], limit: int) -> bool:
    """Return whether there is memory for the graphs of all batch sizes up to `limit`."""
    sizes = {size_for(size) for size in (*(1 << power for power in range(limit.bit_length())), limit)}
    try:
        for worker in workers:
            worker.prepare(sizes)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True
