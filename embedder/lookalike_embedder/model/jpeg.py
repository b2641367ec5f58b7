"""JPEGs decoded and scaled on the GPU, by nvJPEG, where that is faster than the processor's cores."""

import io
import logging
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torchvision.io import ImageReadMode, decode_jpeg

from lookalike_embedder import batch_size, image
from lookalike_embedder.image import SIZE, Limits, Pixels

logger = logging.getLogger(__name__)

# Since torchvision 0.29, which points to TorchCodec: a dependency for this one call, once torchvision has it no more.
warnings.filterwarnings("ignore", message="The image decoding and encoding capabilities of TorchVision are deprecated")

_SAMPLES: Final = ((800, 600), (2000, 1500), (4000, 3000))
"""Sizes at which both ways are measured: a thumbnail's, a web photo's, a camera's."""
_END: Final = b"\xff\xd9"
"""A JPEG's last marker."""
_GAIN: Final = 1.2
"""How much faster the GPU must be: it has a model to compute as well."""


class GpuJpegs:
    """Decodes JPEGs of at least so many pixels; see `image.JpegDecoder`.

    Args:
        least_pixels: smaller ones are left to the processor.
        device: where to decode; a CPU is for tests.
    """

    def __init__(self, least_pixels: int, device: str = "cuda") -> None:
        self.least_pixels = least_pixels
        self._device = device
        self._threads = threading.local()

    def _stream(self) -> "torch.cuda.Stream | None":
        """One for each thread: memory is used again along a stream, not while another thread still reads it.

        By its priority it goes before bulk work, which it feeds, and is none of a worker's; see `cuda`.
        """
        if self._device != "cuda":
            return None
        if not hasattr(self._threads, "stream"):
            self._threads.stream = torch.cuda.Stream(priority=-1)  # type: ignore[no-untyped-call]
        stream: torch.cuda.Stream = self._threads.stream
        return stream

    def __call__(self, data: bytes) -> Pixels | None:
        """Pixels [SIZE, SIZE, 3] as the file has them, before its orientation; None if this decoder cannot."""
        if not data.rstrip(b"\0").endswith(_END):  # Pillow refuses what is cut off; nvJPEG may fill it up
            return None
        file = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        try:
            with torch.inference_mode(), torch.cuda.stream(self._stream()):
                decoded = decode_jpeg(file, ImageReadMode.RGB, device=self._device)
                scaled = functional.interpolate(decoded[None].float(), SIZE, mode="bilinear", antialias=True)
                pixels = scaled[0].round().clamp(0, 255).byte().permute(1, 2, 0)
                array: Pixels = np.ascontiguousarray(pixels.cpu().numpy())
                return array
        except RuntimeError as error:  # a kind that nvJPEG does not know, or a broken file: Pillow says what it is
            logger.debug("left to the processor: %s", error)
            return None


def choose(threads: int, device: str = "cuda") -> GpuJpegs | None:
    """The GPU as decoder from the size on where it is faster than `threads` of the processor; None if it never is."""
    limits = Limits(max_bytes=1 << 30, max_pixels=1 << 30)
    for width, height in _SAMPLES:
        data = _sample(width, height)
        gpu = GpuJpegs(0, device)
        on_cpu = _pace(partial(image.decode, data, limits=limits), threads)
        on_gpu = _pace(partial(gpu, data), threads) if gpu(data) is not None else 0.0
        logger.info("%d x %d JPEGs/s: %.0f on %d threads, %.0f on the GPU", width, height, on_cpu, threads, on_gpu)
        if on_gpu >= _GAIN * on_cpu:
            return GpuJpegs(width * height, device)
    return None


def _pace(decode: Callable[[], object], threads: int) -> float:
    """Images per second over so many threads at once."""
    with ThreadPoolExecutor(threads) as pool:
        return batch_size.measure(lambda: list(pool.map(lambda _: decode(), range(threads))), threads)


def _sample(width: int, height: int) -> bytes:
    """A JPEG about as hard to decode as a photo."""
    channels = [Image.effect_noise((width // 4, height // 4), sigma).resize((width, height)) for sigma in (90, 60, 60)]
    file = io.BytesIO()
    Image.merge("RGB", channels).save(file, "JPEG", quality=90)
    return file.getvalue()
