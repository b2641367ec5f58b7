"""Altered copies, as somebody makes them who takes another's photo."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from PIL import Image, ImageEnhance, ImageOps


def _crop(photo: Image.Image) -> Image.Image:
    """A twentieth off every side."""
    width, height = photo.size
    return photo.crop((width // 20, height // 20, width - width // 20, height - height // 20))


def _recompress(photo: Image.Image) -> Image.Image:
    """JPEG at quality 30."""
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=30)
    return Image.open(buffer)


def _resize(photo: Image.Image) -> Image.Image:
    """Half the width and height."""
    return photo.resize((max(1, photo.width // 2), max(1, photo.height // 2)), Image.Resampling.LANCZOS)


def _recolour(photo: Image.Image) -> Image.Image:
    """Warmer, more saturated, brighter."""
    red, green, blue = photo.split()
    warm = Image.merge("RGB", (red.point(lambda v: v * 1.08), green, blue.point(lambda v: v * 0.92)))
    return ImageEnhance.Brightness(ImageEnhance.Color(warm).enhance(1.2)).enhance(1.05)


def _border(photo: Image.Image) -> Image.Image:
    """A thin white frame: a fiftieth of the width."""
    return ImageOps.expand(photo, border=max(1, photo.width // 50), fill="white")


ALTERATIONS: Final[Mapping[str, Callable[[Image.Image], Image.Image]]] = {
    "crop": _crop,
    "recompress": _recompress,
    "resize": _resize,
    "recolour": _recolour,
    "mirror": ImageOps.mirror,
    "border": _border,
}


def make_copies(photo: Path, folder: Path) -> dict[str, Path]:
    """Write an altered copy of the photo for each alteration; their paths by its name."""
    with Image.open(photo) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    folder.mkdir(parents=True, exist_ok=True)
    copies = {}
    for name, alter in ALTERATIONS.items():
        copies[name] = folder / f"{name}.jpg"
        alter(upright).save(copies[name], "JPEG", quality=90)
    return copies
