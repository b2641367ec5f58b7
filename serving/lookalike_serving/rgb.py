"""Convert pictures of any mode to RGB, in bands, so that no second copy of a large picture is held.

Transparency is laid on white, or on grey where white would swallow the picture: a white logo stays to be seen.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WHITE: Final = (255, 255, 255)
GREY: Final = (128, 128, 128)
"""The ground of pictures that are white for the most part. What is black in them stands out from it too."""
_AS_GOOD_AS_WHITE: Final = 240
"""On white, a pixel is lost whose red, green and blue are all at least this."""
_BAND_PIXELS: Final = 1 << 18


def shrunk(
    image: Image.Image,
    side: int,
    box: tuple[float, float, float, float] | None = None,
    resampling: Image.Resampling = Image.Resampling.BILINEAR,
) -> Image.Image:
    """Return the picture, or the part of it in the box, as RGB, squashed to a square of this side."""
    grey_or_rgb = converted(image)  # grey is resized in a third of the time
    return grey_or_rgb.resize((side, side), resampling, box).convert("RGB")


def converted(image: Image.Image) -> Image.Image:
    """Return the picture in 8 bits, as grey or RGB, on a ground where it is clear."""
    if image.mode.startswith(("I", "F")):
        return _from_deep(image)
    if image.has_transparency_data:
        return _on_ground(image)
    return image if image.mode in ("RGB", "L") else image.convert("RGB")


def bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield the picture's rows, some at a time, each time with the number of the first one."""
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _on_ground(image: Image.Image) -> Image.Image:
    laid = Image.new("RGB", image.size, _ground(image))
    for top, band in bands(image):
        rgba = band.convert("RGBA")
        laid.paste(rgba, (0, top), mask=rgba.getchannel("A"))
    return laid


def _ground(image: Image.Image) -> tuple[int, int, int]:
    """Return white, or grey if more than half of what is seen would be lost on white; pixels count by their opacity."""
    seen = lost = 0
    for _, band in bands(image):
        red, green, blue, alpha = band.convert("RGBA").split()
        darkest = ImageChops.darker(ImageChops.darker(red, green), blue)
        seen += _total(alpha.histogram())
        lost += _total(alpha.histogram(darkest.point(lambda value: 255 * (value >= _AS_GOOD_AS_WHITE))))
    return GREY if 2 * lost > seen else WHITE


def _total(histogram: list[int]) -> int:
    return sum(value * count for value, count in enumerate(histogram))


def _from_deep(image: Image.Image) -> Image.Image:
    """Return 16- and 32-bit grey scaled to 8 bits.

    A PNG uses all its 16 bits. Other files do not say how many bits they use. 16-bit ones are scaled by the bits that
    their values need (cameras and scanners write 10, 12 or 14), 32-bit ones from their least value to their greatest.
    """
    return _from_16_bits(image) if image.mode.startswith("I;16") else _from_32_bits(image)


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Scale by Pillow alone: the gateway, which makes thumbnails, has no numpy."""
    white = 65535
    if image.format != "PNG":
        highest = max(int(band.convert("I").getextrema()[1]) for _, band in bands(image))  # type: ignore[arg-type]
        white = max(255, 2 ** highest.bit_length() - 1)
    grey = Image.new("L", image.size)
    for top, band in bands(image):
        scaled = band.convert("I").convert("F").point(lambda value: value * (255 / white) + 0.0)
        grey.paste(scaled.convert("L"), (0, top))
    return grey


def _from_32_bits(image: Image.Image) -> Image.Image:
    """Scale with numpy, as Pillow makes no numbers of infinities and NaN. Raises ImportError if it is not installed."""
    import numpy as np

    def values(band: Image.Image) -> "NDArray[np.float32]":
        return np.nan_to_num(np.array(band, dtype=np.float32), copy=False, posinf=0, neginf=0)

    ends = [(float(numbers.min()), float(numbers.max())) for _, band in bands(image) for numbers in [values(band)]]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    grey = Image.new("L", image.size)
    for top, band in bands(image):
        scaled = (values(band) - low) * (255 / max(high - low, 1e-30))
        grey.paste(Image.fromarray(scaled.clip(0, 255).astype(np.uint8)), (0, top))
    return grey
