"""Estimate from a file's head what it takes to decode it: bytes that are held, and passes over pixels.

A pixel of 8-bit RGB takes 4 bytes, as Pillow keeps it. This is the unit in which room is counted. All figures here were
measured over noisy pictures of 6 megapixels, by the peak of the resident set and the time of one core (Pillow 13.0 with
the libraries of its wheel): bytes of a pixel, then nanoseconds.

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
"""A pixel of 8-bit RGB takes so many bytes."""
MAX_BYTES_PER_PIXEL: Final = 18
"""A pixel of the largest admitted image may take so many bytes: a WebP does."""
MAX_SCANS: Final = 10
"""The largest admitted image may have so many passes over each pixel, as in progressive JPEGs of common encoders. A
pass costs some 2 ns a pixel. Smaller images may have more, up to `MAX_SCANS_AT_ALL`."""
MAX_SCANS_AT_ALL: Final = 100

_MODES: Final[Mapping[str, float]] = {"1": 5.5, "L": 1, "P": 5.5, "RGB": UNIT, "I;16": 4.5, "I": 6, "F": 6}
"""Bytes of a pixel during the conversion to RGB: those of both pixels, by Pillow's mode."""
_OTHER: Final = 8.5
"""Bytes of a pixel in all modes with four channels or transparency."""
_FORMATS: Final[Mapping[str, float]] = {"WEBP": 18, "AVIF": 13, "HEIF": 13}
"""Bytes of a pixel in a format's own decoder, with its own canvases and planes, if that is more."""
_RAW: Final = (None, 1)
_JPEG_IN_TIFF: Final = (6, 7)


def of(image: Image.Image, size: tuple[int, int], scans: int) -> int:
    """Return the bytes that are held during decoding: a JPEG's draft, plus all coefficients if it has several scans.

    Args:
        image: the image, opened, and with its draft mode set.
        size: the file's width and height.
        scans: the number of a JPEG's scans.
    """
    held = image.width * image.height * max(_of_mode(image), _FORMATS.get(image.format or "", 0))
    if scans > 1:
        held += 2 * size[0] * size[1] * _layers(image)
    return int(held + _tile_bytes(image))


def _of_mode(image: Image.Image) -> float:
    if "transparency" in image.info:
        return _OTHER
    return _MODES.get(image.mode[:4], _OTHER)  # 16-bit modes have a suffix for their byte order


def _layers(image: Image.Image) -> float:
    """Return a JPEG's coefficients for each pixel: 3 without chroma subsampling, 1.5 as cameras do it."""
    layers = [(across, down) for _, across, down, _ in getattr(image, "layer", ())]
    if not layers:
        return UNIT
    full = max(across for across, _ in layers) * max(down for _, down in layers)
    return float(sum(across * down for across, down in layers) / full)


def tile_pixels(image: Image.Image) -> int:
    """Return the pixels of a TIFF's tile, which is decoded whole and may exceed the image; 0 for other files."""
    tags = getattr(image, "tag_v2", {})
    width, height = (tags.get(tag, 0) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH))
    return int(width) * int(height)


def _tile_bytes(image: Image.Image) -> int:
    """Return the bytes of one tile or strip of a TIFF, which is held beside the picture, with its own bit depth."""
    tags = getattr(image, "tag_v2", None)
    if tags is None or tags.get(TiffImagePlugin.COMPRESSION) in _RAW:  # uncompressed data needs no copy
        return 0
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    rows = min(int(tags.get(TiffImagePlugin.ROWSPERSTRIP, image.height)), image.height)
    samples = int(max(sum(bits), bits[0] * int(tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1))))
    return (tile_pixels(image) or rows * image.width) * samples // 8


def scanned_pixels(image: Image.Image, data: bytes) -> tuple[int, int]:
    """Return the number of scans of the file's JPEG, or its TIFF's JPEGs, and the pixels of all scans together."""
    pixels = image.width * image.height
    if image.format in ("JPEG", "MPO"):
        scans = structure.scans(data)
        return scans, scans * pixels
    tags = getattr(image, "tag_v2", {})
    if tags.get(TiffImagePlugin.COMPRESSION) not in _JPEG_IN_TIFF:
        return 1, pixels
    starts = tags.get(TiffImagePlugin.STRIPOFFSETS) or tags.get(TiffImagePlugin.TILEOFFSETS) or ()
    scans_by_start = {start: structure.scans(data, start) for start in set(starts)}
    total = sum(scans_by_start[start] for start in starts)
    return max(scans_by_start.values(), default=1), total * max(tile_pixels(image), pixels // max(1, len(starts)))
