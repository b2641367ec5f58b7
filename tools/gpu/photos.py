"""Provide photos: a folder's JPEGs, or generated ones that are as hard to decode and to compute as real ones."""

import io
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

_SIZES: Final = ((500, 500), (600, 450), (450, 600), (640, 480), (480, 480))
"""The sizes of a shop's photos. At quality 85, the files have some 33 kB."""
_OCTAVES: Final = (3, 6, 12, 24, 48, 96, 192)
"""Cells along a side. Photos have the same power in each octave (Field, 1987)."""
_STRENGTH: Final = (22, 11, 11)
"""The strength of luminance and of both chroma channels in each octave; the finest have less, as with lenses."""


def of_folder(folder: Path, limit: int) -> list[bytes]:
    """Return the JPEGs of a folder, at most `limit`. Raises SystemExit if there are none."""
    files = (path.read_bytes() for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg"))
    jpegs = [data for _, data in zip(range(limit), files, strict=False)]
    if not jpegs:
        raise SystemExit(f"gpu_check: --photos: there is no JPEG in {folder}")
    return jpegs


def generate(count: int) -> list[bytes]:
    """Return `count` JPEGs, each different."""
    return [jpeg(picture(number, _SIZES[number % len(_SIZES)])) for number in range(count)]


def jpeg(photo: Image.Image, **options: object) -> bytes:
    """Return the photo as the bytes of a JPEG."""
    file = io.BytesIO()
    photo.save(file, "JPEG", **{"quality": 85, **options})
    return file.getvalue()


def picture(seed: int, size: tuple[int, int]) -> Image.Image:
    """Return noise with the spectrum of photos, with a few shapes that have edges."""
    random = np.random.default_rng(seed)
    channels = [_channel(random, size, strength, weak) for strength, weak in zip(_STRENGTH, (1, 4, 4), strict=True)]
    photo = Image.merge("YCbCr", channels).convert("RGB")
    draw = ImageDraw.Draw(photo)
    for _ in range(4):
        left, top = random.integers(0, size[0] * 3 // 4), random.integers(0, size[1] * 3 // 4)
        box = (left, top, left + size[0] // 8, top + size[1] // 6)
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape([int(edge) for edge in box], fill=tuple(int(value) for value in random.integers(0, 256, 3)))
    return photo


def _channel(random: np.random.Generator, size: tuple[int, int], strength: float, weak: int) -> Image.Image:
    total = np.full(size[::-1], 128, np.float32)
    for cells in _OCTAVES:
        if cells * weak > _OCTAVES[-1]:
            break
        noise = Image.fromarray(random.normal(0, strength, (cells, cells)).astype(np.float32))
        total += np.asarray(noise.resize(size, Image.Resampling.BICUBIC)) * (1 if cells < 48 else 12 / cells)
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))
