"""The model on a GPU: channels last, a captured graph per batch size, pinned memory, a stream per worker."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import vgg16

from lookalike_embedder.errors import DeviceLost, OutOfMemory
from lookalike_embedder.image import SIZE, Pixels
from lookalike_embedder.job import Lane
from lookalike_embedder.model.hardware import DTYPES
from lookalike_embedder.model.head import rmac
from lookalike_embedder.space import MEAN

_CONV5_3: Final = 30
"""torchvision's `features` up to the ReLU of conv5_3; the fifth pooling would only blur R-MAC's regions."""
_PRIORITY: Final = {Lane.INTERACTIVE: -1, Lane.BULK: 0}
"""Of a worker's stream: the GPU starts what waits in a stream of lower number first."""


class CudaModel:
    """See `batcher.Compute`. Every worker thread gets a stream, pinned buffers and graphs of its own.

    Args:
        tensors: the trunk's weights.
        precision: `fp32`, `bf16` or `fp16`.
        device: where to compute; a CPU, without streams and graphs, is for tests.
    """

    def __init__(self, tensors: Mapping[str, NDArray[np.float32]], precision: str, device: str = "cuda") -> None:
        self.device, self.precision = device, precision
        self._dtype = DTYPES[precision]
        trunk = vgg16(weights=None, init_weights=False).features[:_CONV5_3]
        trunk.load_state_dict({name.removeprefix("features."): torch.from_numpy(t) for name, t in tensors.items()})
        trunk = trunk.eval().to(device, self._dtype, memory_format=torch.channels_last)
        self._trunk: nn.Module = trunk.requires_grad_(requires_grad=False)
        self._mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1) * 255
        self._workers = threading.local()

    def __call__(
        self, pixels: Sequence[Pixels], lane: Lane = Lane.INTERACTIVE, pause: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        """Vectors [n, 512], each of length 1, from n times pixels [SIZE, SIZE, 3]."""
        try:
            return self._worker(lane)(pixels)
        except torch.OutOfMemoryError:
            pass  # what failed holds its memory until this block is left
        except RuntimeError as error:
            if _is_lost(self.device):
                raise DeviceLost from error
            raise
        self._worker(lane).forget()
        raise OutOfMemory

    def prepare(self, pixels: Sequence[Pixels]) -> Tensor:
        """The trunk's input [n, 3, SIZE, SIZE] on the device, channels last."""
        return self._input(torch.from_numpy(np.stack(pixels)).to(self.device))

    def forward(self, batch: Tensor) -> Tensor:
        """The bare forward pass over a prepared batch, without head or copies: what a benchmark compares with."""
        with torch.inference_mode():
            features: Tensor = self._trunk(batch)
            return features

    def _worker(self, lane: Lane) -> "_Worker":
        """What belongs to this thread, for the lane."""
        workers: dict[Lane, _Worker] = self._workers.__dict__.setdefault("by_lane", {})
        if lane not in workers:
            workers[lane] = _Worker(self._vectors, self.device, _PRIORITY[lane])
        return workers[lane]

    def _input(self, pixels: Tensor) -> Tensor:
        return (pixels.permute(0, 3, 1, 2) - self._mean).to(self._dtype)

    def _vectors(self, pixels: Tensor) -> Tensor:
        """What a graph captures: from uint8 pixels [n, SIZE, SIZE, 3] on the device to vectors there."""
        return rmac(self._trunk(self._input(pixels)))


class _Worker:
    """One thread's way to the device and back."""

    def __init__(self, vectors: Callable[[Tensor], Tensor], device: str, priority: int) -> None:
        self._vectors, self._device = vectors, device
        self._stream = torch.cuda.Stream(priority=priority) if device == "cuda" else None  # type: ignore[no-untyped-call]
        self._graphs: dict[int, _Graph] = {}

    def __call__(self, pixels: Sequence[Pixels]) -> NDArray[np.float32]:
        size = 1 << (len(pixels) - 1).bit_length()  # the next power of two: few graphs serve all batches
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            if size not in self._graphs:
                self._graphs[size] = _Graph(self._vectors, size, self._device)
            return self._graphs[size](pixels)

    def forget(self) -> None:
        """Give back memory; graphs are captured anew when they are needed."""
        self._graphs.clear()
        torch.cuda.empty_cache()


class _Graph:
    """The forward pass at one batch size, captured once and replayed: one launch instead of some sixty."""

    capturing = threading.Lock()  # one thread at a time may capture

    def __init__(self, vectors: Callable[[Tensor], Tensor], size: int, device: str) -> None:
        on_gpu = device == "cuda"
        self._host_pixels = torch.zeros((size, SIZE, SIZE, 3), dtype=torch.uint8, pin_memory=on_gpu)
        self._pixels = torch.zeros((size, SIZE, SIZE, 3), dtype=torch.uint8, device=device)
        self._graph = torch.cuda.CUDAGraph() if on_gpu else None
        if self._graph is None:
            self._replay: Callable[[], Tensor] = lambda: vectors(self._pixels)
            return
        with self.capturing:
            for _ in range(2):  # outside of the graph first: libraries choose their kernels and allocate
                vectors(self._pixels)
            torch.cuda.current_stream().synchronize()
            with torch.cuda.graph(self._graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
                captured = vectors(self._pixels)
        replay = self._graph.replay

        def replayed() -> Tensor:
            replay()
            return captured

        self._replay = replayed

    def __call__(self, pixels: Sequence[Pixels]) -> NDArray[np.float32]:
        np.stack(pixels, out=self._host_pixels[: len(pixels)].numpy())
        self._pixels.copy_(self._host_pixels, non_blocking=True)
        return self._replay()[: len(pixels)].cpu().numpy()  # waits for the stream


def _is_lost(device: str) -> bool:
    """Whether the GPU fails at whatever it is asked: after such an error, no process ever gets it back."""
    if device != "cuda":
        return False
    try:
        with _Graph.capturing:  # to ask while another thread captures would break that, and look like a loss
            torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False
