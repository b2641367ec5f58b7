"""Copy one worker's batches to the GPU and back: a stream, pinned memory, and a captured graph per batch size."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookalike_embedder.image import SIZE, Pixels
from lookalike_embedder.space import DIMENSIONS

logger = logging.getLogger(__name__)

CAPTURING: Final = threading.Lock()
"""One thread at a time may capture. Meanwhile, no thread may wait for the whole device, or free its memory: that breaks
the capture, or fails itself."""

_OUT_OF_MEMORY: Final = ("out of memory", "_STATUS_ALLOC_FAILED")
"""Messages of CUDA and of its libraries when memory runs out outside of torch's allocator."""

Pool = Any
"""torch's type for memory that graphs share."""
Vectors = Callable[[Tensor], Tensor]
"""From uint8 pixels [n, SIZE, SIZE, 3] on the device to vectors on the device."""


class Worker:
    """A worker computes one batch at a time. Any thread may call it, but no two at once.

    Args:
        vectors: the forward pass.
        device: `cuda`; on a CPU there are neither streams nor graphs.
        priority: that of its stream; the GPU starts work of a stream with a lower number first.
        captures: whether to capture graphs; otherwise, each kernel is launched by itself.
    """

    def __init__(self, vectors: Vectors, device: str, priority: int, *, captures: bool) -> None:
        self._vectors, self._device = vectors, device
        self._captures = captures and device == "cuda"
        self._stream = torch.cuda.Stream(priority=priority) if device == "cuda" else None  # type: ignore[no-untyped-call]
        self._forwards: dict[int, _Forward] = {}
        self._renew_pool()

    @property
    def graphs(self) -> int:
        """Return how many batch sizes are captured."""
        return sum(forward.is_captured for forward in self._forwards.values())

    def __call__(self, pixels: Sequence[Pixels]) -> NDArray[np.float32]:
        """Return the vectors [n, 512] of n images."""
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            return self._forward(size_for(len(pixels)))(pixels)

    def prepare(self, sizes: Iterable[int]) -> None:
        """Capture these batch sizes: the largest first, so that the others find room in its memory."""
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            for size in sorted(sizes, reverse=True):
                self._forward(size)

    def forget(self) -> None:
        """Free the graphs and their memory; graphs are captured again when they are needed."""
        self._forwards.clear()
        self._renew_pool()
        with CAPTURING:
            torch.cuda.empty_cache()

    def _renew_pool(self) -> None:
        """Create the memory that all graphs share: they replay one at a time, and each output is copied at once.

        A pool must not be used again after its last graph is gone, or after a capture has failed.
        """
        self._pool = torch.cuda.graph_pool_handle() if self._captures else None

    def _forward(self, size: int) -> "_Forward":
        if size not in self._forwards:
            self._forwards[size] = self._prepared(size)
        return self._forwards[size]

    def _prepared(self, size: int) -> "_Forward":
        """Return the forward pass, captured; if capturing fails on a sound device, uncaptured, which is slower."""
        if self._captures:
            try:
                with CAPTURING:
                    return _Forward(self._vectors, size, self._device, self._pool)
            except RuntimeError as error:
                if is_out_of_memory(error) or is_lost(self._device):
                    raise
                logger.warning("batches of %d cannot be captured, from now on none is: %s", size, error)
                self._captures = False
        return _Forward(self._vectors, size, self._device, None)


class _Forward:
    """The forward pass at one batch size, with its buffers. With a pool, it is captured once and replayed."""

    def __init__(self, vectors: Vectors, size: int, device: str, pool: Pool | None) -> None:
        on_gpu = device == "cuda"
        self._host_pixels = torch.zeros((size, SIZE, SIZE, 3), dtype=torch.uint8, pin_memory=on_gpu)
        self._host_vectors = torch.zeros((size, DIMENSIONS), pin_memory=on_gpu)
        self._pixels = torch.zeros((size, SIZE, SIZE, 3), dtype=torch.uint8, device=device)
        # A thread that waits for this event sleeps: by default it would spin, on a core that could decode.
        self._copied = torch.cuda.Event(blocking=True) if on_gpu else None  # type: ignore[no-untyped-call]
        self.is_captured = pool is not None
        self._run = self._captured(vectors, pool) if pool else lambda: vectors(self._pixels)

    def __call__(self, pixels: Sequence[Pixels]) -> NDArray[np.float32]:
        count = len(pixels)
        np.stack(pixels, out=self._host_pixels[:count].numpy())
        self._pixels.copy_(self._host_pixels, non_blocking=True)
        self._host_vectors.copy_(self._run(), non_blocking=True)
        if self._copied:
            self._copied.record()
            self._copied.synchronize()  # both buffers may be used again from here on
        vectors: NDArray[np.float32] = self._host_vectors[:count].numpy().copy()
        return vectors

    def _captured(self, vectors: Vectors, pool: Pool) -> Callable[[], Tensor]:
        """Capture the forward pass as a graph, which is one launch instead of some sixty."""
        for _ in range(2):  # first without a graph, so that libraries load, choose their kernels, and allocate
            vectors(self._pixels)
        stream = torch.cuda.current_stream()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            output = vectors(self._pixels)

        def replayed() -> Tensor:
            graph.replay()
            return output

        return replayed


def size_for(images: int) -> int:
    """Return the next power of two, so that few graphs serve all batches."""
    return 1 << (images - 1).bit_length()


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether memory ran out, also if that broke a capture, which then fails with an error of its own."""
    while error:
        if isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
            return True
        error = error.__context__
    return False


def is_lost(device: str) -> bool:
    """Return whether the GPU fails at every call. After such an error, this process cannot use it again."""
    if device != "cuda":
        return False
    try:
        with CAPTURING:
            torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False
