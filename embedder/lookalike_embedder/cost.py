"""What it takes to decode a file, told from its head: bytes held meanwhile, and passes over pixels.

A pixel of 8-bit RGB takes 4 bytes, as Pillow keeps it: that is the unit in which room is counted. All figures here were
measured over pictures of 6 megapixels with noise, by the peak of the resident set and the time of one core (Pillow 13.0
with the libraries of its wheel): bytes of a pixel, then nanoseconds.

    JPEG draft 0.4 5      several scans 3.3 19      CMYK draft 0.6 12
    PNG  RGB 4.3 53       grey 1.0 16      16-bit grey 3.8 40     RGBA 8.5 81     palette 5.4 28     one bit 5.3 12
    TIFF RGB 4.3 12-50    16-bit grey 4.4 45    float 5.8 50    CMYK 8.3 46    LAB 8.4 97    fax 5.4 22    LZMA 4.3 118
    WebP 17.8 46          with transparency 17.1 64      GIF 5.3 33      BMP 4.3 12
    AVIF 11.2 66          with transparency 12.6 75      HEIF as AVIF, as nothing here writes it
"""

from collections.abc import Mapping
from typing import Final

from PIL import Image, TiffImagePlugin

from lookalike_embedder import structure

UNIT: Final = 4
"""Bytes of a pixel of 8-bit RGB."""
MOST_BYTES: Final = 18
"""For each pixel of the largest image that is admitted: what a WebP takes."""
MOST_SCANS: Final = 10
"""Passes over each pixel of the largest image that is admitted, as encoders make of a progressive JPEG. A pass costs
some 2 ns a pixel; smaller images may have more, up to `MOST_SCANS_AT_ALL`."""
MOST_SCANS_AT_ALL: Final = 100

_MODES: Final[Mapping[str, float]] = {"1": 5.5, "L": 1, "P": 5.5, "RGB": UNIT, "I;16": 4.5, "I": 6, "F": 6}
"""Bytes of a pixel while what a file holds becomes RGB: those of both."""
_OTHER: Final = 8.5
"""Of all that has four channels, or transparency."""
_FORMATS: Final[Mapping[str, float]] = {"WEBP": 18, "AVIF": 13, "HEIF": 13}
"""What a format's own decoder takes, with canvases and planes of its own, if that is more."""
_RAW: Final = (None, 1)
_JPEG_IN_TIFF: Final = (6, 7)


def of(image: Image.Image, size: tuple[int, int], scans: int) -> int:
    """Bytes that are held while the image is decoded: of a JPEG's draft, and all coefficients if it has several scans.

    Args:
        image: the image, open and drafted.
        size: the file's width and height.
        scans: how many it has, of a JPEG.
    """
    held = image.width * image.height * max(_of_mode(image), _FORMATS.get(image.format or "", 0))
    if scans > 1:
        held += 2 * size[0] * size[1] * _layers(image)
    return int(held + _tile_bytes(image))


def _of_mode(image: Image.Image) -> float:
    if "transparency" in image.info:
        return _OTHER
    return _MODES.get(image.mode[:4], _OTHER)  # of 16 bits there are several orders


def _layers(image: Image.Image) -> float:
    """Coefficients of a JPEG for each pixel: 3 if its colours are not sampled down, 1.5 as cameras do it."""
    layers = [(across, down) for _, across, down, _ in getattr(image, "layer", ())]
    if not layers:
        return UNIT
    most = max(across for across, _ in layers) * max(down for _, down in layers)
    return float(sum(across * down for across, down in layers) / most)


def tile_pixels(image: Image.Image) -> int:
    """Pixels of one tile of a TIFF, which may be larger than the image and is decoded whole; 0 for other files."""
    tags = getattr(image, "tag_v2", {})
    width, height = (tags.get(tag, 0) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH))
    return int(width) * int(height)


def _tile_bytes(image: Image.Image) -> int:
    """Bytes of one tile or strip of a TIFF, as it is held beside the picture: as many bits and samples as it has."""
    tags = getattr(image, "tag_v2", None)
    if tags is None or tags.get(TiffImagePlugin.COMPRESSION) in _RAW:  # what is not packed is read where it lies
        return 0
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    rows = min(int(tags.get(TiffImagePlugin.ROWSPERSTRIP, image.height)), image.height)
    samples = int(max(sum(bits), bits[0] * int(tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1))))
    return (tile_pixels(image) or rows * image.width) * samples // 8


def scanned_pixels(image: Image.Image, data: bytes) -> tuple[int, int]:
    """How many scans the file's JPEG has, or its TIFF's JPEGs, and over how many pixels they go in all."""
    pixels = image.width * image.height
    if image.format in ("JPEG", "MPO"):
        scans = structure.scans(data)
        return scans, scans * pixels
    tags = getattr(image, "tag_v2", {})
    if tags.get(TiffImagePlugin.COMPRESSION) not in _JPEG_IN_TIFF:
        return 1, pixels
    starts = tags.get(TiffImagePlugin.STRIPOFFSETS) or tags.get(TiffImagePlugin.TILEOFFSETS) or ()
    known = {start: structure.scans(data, start) for start in set(starts)}
    total = sum(known[start] for start in starts)
    return max(known.values(), default=1), total * max(tile_pixels(image), pixels // max(1, len(starts)))
