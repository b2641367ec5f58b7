"""Turn the bytes of an image file into the pixels that the model sees: admission, then decoding. No torch is needed.

All faults of a file are detected here, one image at a time, before it can reach a batch.
"""

import io
import re
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from lookalike_embedder import cost, rgb, structure
from lookalike_embedder.errors import InvalidImage
from lookalike_serving.errors import DomainError

Pixels = NDArray[np.uint8]

SIZE: Final = 224
"""The model sees a square of so many pixels a side. The aspect ratio is not kept: squashing measured no worse."""

_HEIF: Final = find_spec("pi_heif") is not None

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", *(("HEIF",) if _HEIF else ()))
"""Accepted file formats, by Pillow's names; HEIF (HEIC of telephones) if the extra `heic` is installed. Of an
animation, the first frame is used, of a camera's MPO, its first JPEG."""

DRAFT_SIZE: Final = 2 * SIZE
"""JPEGs are decoded at the smallest of 1/1, 1/2, 1/4, 1/8 of their size that leaves so many pixels a side."""

PREPROCESSING: Final = f"rgb,white,exif,draft{DRAFT_SIZE},deep-range,bilinear{SIZE}x{SIZE}"
"""This names all that changes a vector here. It is part of the space's digest: change it with the code."""

_BOMBS: Final = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_PIXELS: Final = re.compile(r"\((\d+) pixels\)")
"""Reads the number of pixels from the message of Pillow's own check."""

# Pillow's own check of the number of pixels must be an error, never a warning that nobody reads.
warnings.simplefilter("error", Image.DecompressionBombWarning)
Image.init()
if _HEIF:
    import pi_heif

    pi_heif.register_heif_opener()

_TRANSPOSITIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED: Final = (5, 6, 7, 8)


@dataclass(frozen=True)
class Limits:
    """The limits are the largest file, in bytes, and the largest image, in pixels (width times height)."""

    max_bytes: int
    max_pixels: int

    @property
    def decoded_bytes(self) -> int:
        """Return the bytes that decoding one image may take."""
        return self.max_pixels * cost.MOST_BYTES

    @property
    def scanned_pixels(self) -> int:
        """Return the pixels that all scans of one image may have together."""
        return self.max_pixels * cost.MOST_SCANS


@dataclass(frozen=True, slots=True)
class Info:
    """The file's format, its upright size in pixels, and its EXIF orientation, 1 to 8, are known after decoding."""

    format: str
    width: int
    height: int
    orientation: int


Room = Callable[[int], AbstractContextManager[None]]
"""Holds room while an image is decoded, for so many pixels of 8-bit RGB, once there is some."""


def _endless(_: int) -> AbstractContextManager[None]:
    return nullcontext()


class JpegDecoder(Protocol):
    """The decoder replaces Pillow for JPEGs of `least_pixels` or more."""

    least_pixels: int

    def __call__(self, data: bytes) -> Pixels | None:
        """Return pixels [SIZE, SIZE, 3] before EXIF orientation is applied; None if this decoder cannot."""


def decode(
    data: bytes, room: Room = _endless, *, limits: Limits, jpegs: JpegDecoder | None = None
) -> tuple[Info, Pixels]:
    """Admit and decode an image file. Returns its info, and uint8 RGB pixels [SIZE, SIZE, 3].

    Args:
        data: the image file.
        room: holds room for the pixels while they are decoded.
        limits: the limits of admission.
        jpegs: a decoder for large JPEGs that is faster than Pillow, if there is one.

    Raises:
        InvalidImage: the bytes are empty, too many, of no accepted format, of too many pixels, or broken.
    """
    image, scans = _open(data, limits)
    size = image.size  # that of the file; a draft is smaller
    try:
        image.draft("RGB", (DRAFT_SIZE, DRAFT_SIZE))
        taken = _room_taken(image, size, scans, jpegs)
        _check_bytes(limits, taken * cost.UNIT, size)
        with room(taken):
            orientation = _orientation(image)
            small = _by_other(image, size, data, jpegs) or _by_pillow(image)
    except DomainError:  # the image takes too much, or the room is closed
        raise
    except _BOMBS as error:
        raise _bomb(limits, error) from error
    except Exception as error:  # decoders may raise anything on hostile bytes
        raise _corrupt(image.format or "", error) from error
    if orientation in _TRANSPOSITIONS:  # after the resize, which costs a fraction and gives the same picture
        small = small.transpose(_TRANSPOSITIONS[orientation])
    width, height = reversed(size) if orientation in _TURNED else size
    return Info(image.format or "", width, height, orientation), np.asarray(small)


def _by_pillow(image: Image.Image) -> Image.Image:
    image.load()
    return rgb.shrunk(image, SIZE)


def _by_other(image: Image.Image, size: tuple[int, int], data: bytes, jpegs: JpegDecoder | None) -> Image.Image | None:
    pixels = jpegs(data) if jpegs and _is_for(jpegs, image, size) else None
    return None if pixels is None else Image.fromarray(pixels)


def _open(data: bytes, limits: Limits) -> tuple[Image.Image, int]:
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
    except _BOMBS as error:
        raise _bomb(limits, error) from error
    except Exception as error:
        raise _corrupt("", error) from error
    try:
        tile, (scans, scanned) = cost.tile_pixels(image), cost.scanned_pixels(image, data)
    except (ValueError, OverflowError, TypeError) as error:
        raise _corrupt(image.format or "", error) from error
    if tile > limits.max_pixels:
        raise _too_many_pixels(limits, f"{tile} in one TIFF tile")
    if image.width * image.height > limits.max_pixels:
        raise _too_many_pixels(limits, f"{image.width * image.height} ({image.width} x {image.height})")
    _check_scans(limits, scans, scanned, image.size)
    return image, scans


def _check_scans(limits: Limits, scans: int, scanned: int, size: tuple[int, int]) -> None:
    limit = cost.MOST_SCANS_AT_ALL
    if scans > limit:
        raise InvalidImage("CORRUPT_IMAGE", f"image: at most {limit} JPEG scans, got {scans}", limit=limit)
    if scanned > limits.scanned_pixels:
        raise InvalidImage(
            "TOO_MANY_PIXELS",
            f"image: at most {limits.scanned_pixels} pixels over all scans, got {scanned}"
            f" ({scans} scans of {size[0]} x {size[1]})",
            limit_scanned_pixels=limits.scanned_pixels,
        )


def _check_bytes(limits: Limits, held: int, size: tuple[int, int]) -> None:
    if held > limits.decoded_bytes:
        raise InvalidImage(
            "TOO_MANY_PIXELS",
            f"image: at most {limits.decoded_bytes} bytes while it is decoded, got {held}"
            f" ({size[0]} x {size[1]} pixels of {held / (size[0] * size[1]):.1f} bytes)",
            limit_decoded_bytes=limits.decoded_bytes,
        )


def _room_taken(image: Image.Image, size: tuple[int, int], scans: int, jpegs: JpegDecoder | None) -> int:
    """Return how much room decoding takes, in pixels of 8-bit RGB."""
    taken = cost.of(image, size, scans)
    if _is_for(jpegs, image, size):
        taken = max(taken, cost.UNIT * size[0] * size[1])
    return -(-taken // cost.UNIT)


def _is_for(jpegs: JpegDecoder | None, image: Image.Image, size: tuple[int, int]) -> bool:
    if not jpegs or image.format != "JPEG" or image.mode not in ("RGB", "L"):
        return False
    return size[0] * size[1] >= jpegs.least_pixels


def _too_many_pixels(limits: Limits, value: str) -> InvalidImage:
    return InvalidImage(
        "TOO_MANY_PIXELS", f"image: at most {limits.max_pixels} pixels, got {value}", limit_pixels=limits.max_pixels
    )


def _bomb(limits: Limits, error: Exception) -> InvalidImage:
    return _too_many_pixels(limits, "".join(_PIXELS.findall(str(error))))


def _corrupt(file_format: str, error: Exception) -> InvalidImage:
    return InvalidImage("CORRUPT_IMAGE", f"image: a broken {file_format or 'image'} file: {_brief(error)}")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if it is broken, so that a good picture is not refused."""
    try:
        orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1
    return orientation if orientation in _TRANSPOSITIONS else 1


def _brief(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
