"""Turn the bytes of an image file into the pixels that the model sees: admission, then decoding. No torch is needed.

All faults of a file are detected here, one image at a time, before it can reach a batch.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from lookalike_embedder import cost
from lookalike_embedder.admission import BOMBS, bomb, check_bytes, corrupt, open_image
from lookalike_embedder.admission import FORMATS as FORMATS
from lookalike_embedder.admission import Limits as Limits
from lookalike_embedder.preprocessing import SIZE as SIZE
from lookalike_embedder.preprocessing import VGG16, Preprocessing
from lookalike_serving import jpeg_end, rgb
from lookalike_serving.errors import DomainError

Pixels = NDArray[np.uint8]

_BLANK_SPAN: Final = 16
"""If no channel has so many levels between its darkest and its lightest pixel, there is nothing to see.

Noise of a standard deviation of 2 in a JPEG spans up to 12; the dullest of 47 photos of clothing and groceries 165.
"""
_SMOOTH_SPAN: Final = 32
"""Gradients of up to so many levels are blank too.

Two that run across one another have a cosine of .967, and .94 or more to one colour. At 255 levels it is .76.
"""
_SMOOTH_STEP: Final = 4
_STRIDE: Final = 4
"""In a gradient, pixels that are a stride apart differ by this step at most; at the edge of anything, by more."""

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


@dataclass(frozen=True, slots=True)
class Info:
    """The info is what is known of a file after decoding.

    Attributes:
        format: its format, by Pillow's name.
        width: of the upright picture, in pixels.
        height: of the upright picture, in pixels.
        orientation: its EXIF orientation, 1 to 8.
        end_missing: whether it lacks its last bytes, though nothing of the picture; see `jpeg_end`.
        featureless: whether the model sees nothing but one colour.
    """

    format: str
    width: int
    height: int
    orientation: int
    end_missing: bool = False
    featureless: bool = False


Room = Callable[[int], AbstractContextManager[None]]
"""Holds room while an image is decoded, for so many pixels of 8-bit RGB, once there is some."""


def _endless(_: int) -> AbstractContextManager[None]:
    return nullcontext()


class JpegDecoder(Protocol):
    """The decoder replaces Pillow for JPEGs of `min_pixels` or more."""

    min_pixels: int

    def __call__(self, data: bytes) -> Pixels | None:
        """Return pixels [size, size, 3] before EXIF orientation is applied; None if this decoder cannot."""


def decode(
    data: bytes,
    room: Room = _endless,
    *,
    limits: Limits,
    preprocessing: Preprocessing = VGG16,
    jpegs: JpegDecoder | None = None,
) -> tuple[Info, Pixels]:
    """Admit and decode an image file. Returns its info, and uint8 RGB pixels [size, size, 3].

    Args:
        data: the image file.
        room: holds room for the pixels while they are decoded.
        limits: the limits of admission.
        preprocessing: what the model sees of the picture.
        jpegs: a decoder for large JPEGs that is faster than Pillow, if there is one.

    Raises:
        InvalidImage: the bytes are empty, too many, of no accepted format, of too many pixels, or broken.
    """
    image, scans = open_image(data, limits)
    size = image.size  # that of the file; a draft is smaller
    try:
        image.draft("RGB", preprocessing.draft)
        pixels_needed = _room_needed(image, size, scans, jpegs)
        check_bytes(limits, pixels_needed * cost.UNIT, size)
        with room(pixels_needed):
            orientation = _orientation(image)
            small, end_missing = _by_other(image, size, data, jpegs) or _by_pillow(image, data, preprocessing)
    except DomainError:  # the image takes too much, or the room is closed
        raise
    except BOMBS as error:
        raise bomb(limits, error) from error
    except Exception as error:  # decoders may raise anything on hostile bytes
        raise corrupt(image.format or "", error) from error
    if orientation in _TRANSPOSITIONS:  # after the resize, which costs a fraction and gives the same picture
        small = small.transpose(_TRANSPOSITIONS[orientation])
    width, height = reversed(size) if orientation in _TURNED else size
    return Info(image.format or "", width, height, orientation, end_missing, is_featureless(small)), np.asarray(small)


def is_featureless(small: Image.Image) -> bool:
    """Return whether the picture that the model sees has as good as one colour, or a faint gradient."""
    span = max(high - low for low, high in small.getextrema())  # type: ignore[misc]
    if not _BLANK_SPAN <= span <= _SMOOTH_SPAN:
        return span < _BLANK_SPAN
    levels = np.asarray(small, np.int16)
    steps = levels[_STRIDE:] - levels[:-_STRIDE], levels[:, _STRIDE:] - levels[:, :-_STRIDE]
    return all(int(np.abs(step).max()) <= _SMOOTH_STEP for step in steps)


def _by_pillow(image: Image.Image, data: bytes, preprocessing: Preprocessing) -> tuple[Image.Image, bool]:
    """Return the small picture, and whether the file lacks its end."""
    whole, end_missing = jpeg_end.loaded(image, data, preprocessing.draft)
    resampling = Image.Resampling.BICUBIC if preprocessing.bicubic else Image.Resampling.BILINEAR
    return rgb.shrunk(whole, preprocessing.size, preprocessing.box(*whole.size), resampling), end_missing


def _by_other(
    image: Image.Image, size: tuple[int, int], data: bytes, jpegs: JpegDecoder | None
) -> tuple[Image.Image, bool] | None:
    pixels = jpegs(data) if jpegs and _is_for(jpegs, image, size) else None
    return None if pixels is None else (Image.fromarray(pixels), False)


def _room_needed(image: Image.Image, size: tuple[int, int], scans: int, jpegs: JpegDecoder | None) -> int:
    """Return how much room decoding takes, in pixels of 8-bit RGB."""
    bytes_needed = cost.of(image, size, scans)
    if _is_for(jpegs, image, size):
        bytes_needed = max(bytes_needed, cost.UNIT * size[0] * size[1])
    return -(-bytes_needed // cost.UNIT)


def _is_for(jpegs: JpegDecoder | None, image: Image.Image, size: tuple[int, int]) -> bool:
    if not jpegs or image.format != "JPEG" or image.mode not in ("RGB", "L"):
        return False
    return size[0] * size[1] >= jpegs.min_pixels


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if it is broken, so that a good picture is not refused."""
    try:
        orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1
    return orientation if orientation in _TRANSPOSITIONS else 1
