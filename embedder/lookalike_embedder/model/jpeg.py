"""Decode and scale JPEGs on the GPU, by nvJPEG, if that is faster than the processor's cores."""

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

from lookalike_embedder import batch_size, image
from lookalike_embedder.image import SIZE, Limits, Pixels

logger = logging.getLogger(__name__)

# Since torchvision 0.29, which recommends TorchCodec: a further dependency, for one call, once torchvision drops it.
warnings.filterwarnings("ignore", message="The image decoding and encoding capabilities of TorchVision are deprecated")

_SAMPLES: Final = ((800, 600), (2000, 1500), (4000, 3000))
"""Both decoders are measured at these sizes: a thumbnail, a web photo, a camera's photo."""
_END: Final = b"\xff\xd9"
"""The last marker of a JPEG."""
_GAIN: Final = 1.2
"""The GPU must be so much faster, as it also computes the model."""


class GpuJpegs:
    """The decoder takes JPEGs of `min_pixels` or more; see `image.JpegDecoder`.

    Args:
        min_pixels: smaller ones are decoded by the processor.
        device: where to decode; a CPU is for tests.
    """

    def __init__(self, min_pixels: int, device: str = "cuda") -> None:
        self.min_pixels = min_pixels
        self._device = device
        self._threads = threading.local()

    def _stream(self) -> "torch.cuda.Stream | None":
        """Return this thread's stream: memory is reused in a stream's order, not while another thread still reads it.

        Its priority is higher than that of bulk work, which needs its pixels, and differs from all workers'; see
        `cuda`.
        """
        if self._device != "cuda":
            return None
        if not hasattr(self._threads, "stream"):
            self._threads.stream = torch.cuda.Stream(priority=-1)  # type: ignore[no-untyped-call]
        stream: torch.cuda.Stream = self._threads.stream
        return stream

    def __call__(self, data: bytes) -> Pixels | None:
        """Return pixels [SIZE, SIZE, 3] before EXIF orientation is applied; None if this decoder cannot."""
        if not data.rstrip(b"\0").endswith(_END):  # Pillow refuses truncated files; nvJPEG may fill them up
            return None
        from torchvision.io import ImageReadMode, decode_jpeg  # seconds of imports, which a CPU's model does without

        file = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        try:
            with torch.inference_mode(), torch.cuda.stream(self._stream()):
                decoded = decode_jpeg(file, ImageReadMode.RGB, device=self._device)
                scaled = functional.interpolate(decoded[None].float(), SIZE, mode="bilinear", antialias=True)
                pixels = scaled[0].round().clamp(0, 255).byte().permute(1, 2, 0)
                array: Pixels = np.ascontiguousarray(pixels.cpu().numpy())
                return array
        except RuntimeError as error:  # a kind that nvJPEG does not know, or a broken file: Pillow will tell
            logger.debug("left to the processor: %s", error)
            return None


def choose(threads: int, device: str = "cuda") -> GpuJpegs | None:
    """Return a GPU decoder for sizes at which it is faster than `threads` of the processor; None if there are none."""
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
    """Return the images per second over so many threads at once."""
    with ThreadPoolExecutor(threads) as pool:
        return batch_size.measure(lambda: list(pool.map(lambda _: decode(), range(threads))), threads)


def _sample(width: int, height: int) -> bytes:
    """Return a JPEG about as hard to decode as a photo."""
    channels = [Image.effect_noise((width // 4, height // 4), sigma).resize((width, height)) for sigma in (90, 60, 60)]
    file = io.BytesIO()
    Image.merge("RGB", channels).save(file, "JPEG", quality=90)
    return file.getvalue()
