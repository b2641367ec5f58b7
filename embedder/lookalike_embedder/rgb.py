"""Convert pictures of any mode to RGB on white, in bands, so that no second copy of a large picture is held."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_PLAIN: Final = ("RGB", "L", "CMYK", "YCbCr", "LAB", "HSV", "1")
_BAND_PIXELS: Final = 1 << 18


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """Return the picture as RGB, squashed to a square of this side."""
    square = (side, side)
    if image.mode.startswith(("I", "F")):
        image = _from_deep(image)
    elif image.mode not in _PLAIN or "transparency" in image.info:
        image = _on_white(image)
    elif image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    return image.resize(square, Image.Resampling.BILINEAR).convert("RGB")  # grey is resized in a third of the time


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _on_white(image: Image.Image) -> Image.Image:
    on_white = Image.new("RGB", image.size, "white")
    for top, band in _bands(image):
        rgba = band.convert("RGBA")
        on_white.paste(rgba, (0, top), mask=rgba.getchannel("A"))
    return on_white


def _from_deep(image: Image.Image) -> Image.Image:
    """Return 16- and 32-bit grey scaled to 8 bits.

    A PNG uses all its 16 bits. Other files do not say how many bits they use. 16-bit ones are scaled by the bits that
    their values need (cameras and scanners write 10, 12 or 14), 32-bit ones from their least value to their greatest.
    """
    low, high = 0.0, 65535.0
    if not (image.mode.startswith("I;16") and image.format == "PNG"):
        low, high = _range(image)
    grey = Image.new("L", image.size)
    for top, band in _bands(image):
        scaled = (_values(band) - low) * (255 / max(high - low, 1e-30))
        grey.paste(Image.fromarray(scaled.clip(0, 255).astype(np.uint8)), (0, top))
    return grey


def _range(image: Image.Image) -> tuple[float, float]:
    """Return the values that become black and white."""
    ends = [(float(values.min()), float(values.max())) for _, band in _bands(image) for values in [_values(band)]]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if image.mode.startswith("I;16"):
        return 0.0, max(255.0, 2.0 ** np.ceil(np.log2(high + 1)) - 1)
    return low, high


def _values(band: Image.Image) -> NDArray[np.float32]:
    """Return the values as float32, with 0 for infinities and for what is not a number."""
    return np.nan_to_num(np.array(band, dtype=np.float32), copy=False, posinf=0, neginf=0)
