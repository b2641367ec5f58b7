"""Admit an image file: check all that can be checked before a pixel is decoded."""

import io
import re
import warnings
from dataclasses import dataclass
from typing import Final

from PIL import Image, UnidentifiedImageError

from lookalike_embedder import cost, structure
from lookalike_embedder.errors import InvalidImage
from lookalike_serving.image_formats import FORMATS as FORMATS

BOMBS: Final = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_PIXELS: Final = re.compile(r"\((\d+) pixels\)")
"""Reads the number of pixels from the message of Pillow's own check."""

# Pillow's own check of the number of pixels must be an error, never a warning that nobody reads.
warnings.simplefilter("error", Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Limits:
    """The limits are the largest file, in bytes, and the largest image, in pixels (width times height)."""

    max_bytes: int
    max_pixels: int

    @property
    def decoded_bytes(self) -> int:
        """Return the bytes that decoding one image may take."""
        return self.max_pixels * cost.MAX_BYTES_PER_PIXEL

    @property
    def scanned_pixels(self) -> int:
        """Return the pixels that all scans of one image may have together."""
        return self.max_pixels * cost.MAX_SCANS


def open_image(data: bytes, limits: Limits) -> tuple[Image.Image, int]:
    """Check all that can be checked before decoding. Returns the image, and its number of scans."""
    if not data:
        raise InvalidImage("EMPTY_IMAGE", "image: must not be empty, got 0 bytes")
    if len(data) > limits.max_bytes:
        raise InvalidImage(
            "IMAGE_TOO_LARGE",
            f"image: at most {limits.max_bytes} bytes, got {len(data)}",
            limit_bytes=limits.max_bytes,
            bytes=len(data),
        )
    structure.check(data)
    Image.MAX_IMAGE_PIXELS = limits.max_pixels  # for plugins that know an image's size only once they decode
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise InvalidImage(
            "UNSUPPORTED_FORMAT",
            f"image: cannot be read as {', '.join(FORMATS)}: {len(data)} bytes of something else",
            formats=",".join(FORMATS),
        ) from error
    except BOMBS as error:
        raise bomb(limits, error) from error
    except Exception as error:
        raise corrupt("", error) from error
    try:
        tile, (scans, scanned) = cost.tile_pixels(image), cost.scanned_pixels(image, data)
    except (ValueError, OverflowError, TypeError) as error:
        raise corrupt(image.format or "", error) from error
    if tile > limits.max_pixels:
        raise _too_many_pixels(limits, f"{tile} in one TIFF tile")
    if image.width * image.height > limits.max_pixels:
        raise _too_many_pixels(limits, f"{image.width * image.height} ({image.width} x {image.height})")
    _check_scans(limits, scans, scanned, image.size)
    return image, scans


def _check_scans(limits: Limits, scans: int, scanned: int, size: tuple[int, int]) -> None:
    limit = cost.MAX_SCANS_AT_ALL
    if scans > limit:
        raise InvalidImage("CORRUPT_IMAGE", f"image: at most {limit} JPEG scans, got {scans}", limit=limit)
    if scanned > limits.scanned_pixels:
        raise InvalidImage(
            "TOO_MANY_PIXELS",
            f"image: at most {limits.scanned_pixels} pixels over all scans, got {scanned}"
            f" ({scans} scans of {size[0]} x {size[1]})",
            limit_scanned_pixels=limits.scanned_pixels,
        )


def check_bytes(limits: Limits, held: int, size: tuple[int, int]) -> None:
    """Raise InvalidImage if decoding would hold more bytes than one image may take; `size` is the file's."""
    if held > limits.decoded_bytes:
        raise InvalidImage(
            "TOO_MANY_PIXELS",
            f"image: at most {limits.decoded_bytes} bytes while it is decoded, got {held}"
            f" ({size[0]} x {size[1]} pixels of {held / (size[0] * size[1]):.1f} bytes)",
            limit_decoded_bytes=limits.decoded_bytes,
        )


def _too_many_pixels(limits: Limits, value: str) -> InvalidImage:
    return InvalidImage(
        "TOO_MANY_PIXELS", f"image: at most {limits.max_pixels} pixels, got {value}", limit_pixels=limits.max_pixels
    )


def bomb(limits: Limits, error: Exception) -> InvalidImage:
    """Return the refusal of an image for which Pillow raised one of `BOMBS`."""
    return _too_many_pixels(limits, "".join(_PIXELS.findall(str(error))))


def corrupt(file_format: str, error: Exception) -> InvalidImage:
    """Return the refusal of a file that broke its decoder; `file_format` is empty if it is not known."""
    return InvalidImage("CORRUPT_IMAGE", f"image: a broken {file_format or 'image'} file: {_brief(error)}")


def _brief(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
