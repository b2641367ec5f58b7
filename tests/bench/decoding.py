"""How long one image is decoded, on one thread."""

import io
import statistics
import time

import numpy as np
from PIL import Image

from lookalike_embedder import image
from tests.bench.figures import Figure
from tests.bench.setting import LIMITS, Setting

_SIZE = (4000, 3000)
_LEAST_BYTES = 3_500_000
_RUNS = 20


def measure(setting: Setting) -> list[Figure]:
    """A camera's photo of 12 megapixels, and the photo of middle size of those at hand."""
    large = photo_of_12_megapixels(setting.jpegs[0])
    middle = sorted(setting.jpegs, key=len)[len(setting.jpegs) // 2]
    return [
        _figure("decode_12mp_ms", large),
        _figure("decode_middle_ms", middle),
    ]


def photo_of_12_megapixels(data: bytes) -> bytes:
    """A real photo enlarged, with as much noise as makes it as large a file as a camera's at quality 90."""
    photo = Image.open(io.BytesIO(data)).convert("RGB").resize(_SIZE, Image.Resampling.LANCZOS)
    pixels, noise = np.asarray(photo, np.float32), np.random.default_rng(0).normal(0, 1, (*_SIZE[::-1], 1))
    for strength in range(1, 33):
        noisy = (pixels + noise.astype(np.float32) * strength).clip(0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(noisy).save(file, "JPEG", quality=90)
        if file.tell() >= _LEAST_BYTES:
            break
    return file.getvalue()


def _figure(name: str, data: bytes) -> Figure:
    times = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        info, _pixels = image.decode(data, limits=LIMITS)
        times.append(time.perf_counter() - started)
    on = f"one thread, {info.format} {info.width} x {info.height} of {len(data) / 1000:,.0f} kB, median of {_RUNS}"
    return Figure(name, statistics.median(times) * 1000, on)
