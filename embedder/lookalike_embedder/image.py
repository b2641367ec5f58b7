"""From the bytes of an image file to the pixels that the model sees: admission, then decoding. No torch.

Everything that is wrong with a file is found here, one image at a time, before it can touch a batch.
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
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from lookalike_embedder.errors import InvalidImage

Pixels = NDArray[np.uint8]

SIZE: Final = 224
"""Side of the square that the model sees, in pixels. The aspect ratio is not kept: squashing measured no worse."""

_HEIF: Final = find_spec("pi_heif") is not None

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", *(("HEIF",) if _HEIF else ()))
"""Accepted file formats, by Pillow's names; HEIF (telephones' HEIC) where the extra `heic` is installed. Of animations
the first frame counts, of a camera's MPO its first JPEG."""

DRAFT_SIZE: Final = 2 * SIZE
"""JPEGs are decoded at the smallest of 1/1, 1/2, 1/4, 1/8 of their size that leaves so many pixels a side."""

PREPROCESSING: Final = f"rgb,white,exif,draft{DRAFT_SIZE},deep-range,bilinear{SIZE}x{SIZE}"
"""Names everything here that changes a vector. It is part of the space's digest: change it with the code."""

_MAX_SCANS: Final = 100
"""Of a progressive JPEG; each costs a pass over all its pixels. Encoders write about ten."""

_MARKER: Final = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""A JPEG's marker; within a scan, 0xff is followed by 0, or is a restart."""

_BOMBS: Final = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_PIXELS: Final = re.compile(r"\((\d+) pixels\)")
"""In the message of Pillow's own check, which comes first where an image is over the limit."""

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
    """What is admitted: the largest file, in bytes, and the largest image, in pixels (width times height)."""

    max_bytes: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Info:
    """What a file was found to be: width and height in pixels, upright; orientation is EXIF's, 1 to 8, applied."""

    format: str
    width: int
    height: int
    orientation: int


Room = Callable[[int], AbstractContextManager[None]]
"""Holds room for so many pixels while they are decoded; waits until there is some."""


def _endless(_: int) -> AbstractContextManager[None]:
    return nullcontext()


class JpegDecoder(Protocol):
    """Another decoder for JPEGs, from `least_pixels` on."""

    least_pixels: int

    def __call__(self, data: bytes) -> Pixels | None:
        """Pixels [SIZE, SIZE, 3] as the file has them, before its orientation; None if this decoder cannot."""


def decode(
    data: bytes, room: Room = _endless, *, limits: Limits, jpegs: JpegDecoder | None = None
) -> tuple[Info, Pixels]:
    """Admit and decode an image file: what it is, and uint8 RGB pixels [SIZE, SIZE, 3].

    Args:
        data: the image file.
        room: holds room for the pixels while they are decoded.
        limits: what is admitted.
        jpegs: decodes large JPEGs, where there is something faster than Pillow.

    Raises:
        InvalidImage: the bytes are empty, too many, of no accepted format, of too many pixels, or broken.
    """
    image = _open(data, limits)
    size = image.size  # the file's: a draft has another
    try:
        image.draft("RGB", (DRAFT_SIZE, DRAFT_SIZE))
        with room(_pixels_held(image, size, jpegs)):
            orientation = _orientation(image)
            small = _by_other(image, size, data, jpegs) or _by_pillow(image)
    except _BOMBS as error:
        raise _bomb(limits, error) from error
    except Exception as error:  # decoders raise anything at all on hostile bytes
        raise _corrupt(image.format or "", error) from error
    if orientation in _TRANSPOSITIONS:  # after the resize: the same picture, for a fraction of the work
        small = small.transpose(_TRANSPOSITIONS[orientation])
    width, height = reversed(size) if orientation in _TURNED else size
    return Info(image.format or "", width, height, orientation), np.asarray(small)


def _by_pillow(image: Image.Image) -> Image.Image:
    image.load()
    return _to_rgb(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR)


def _by_other(image: Image.Image, size: tuple[int, int], data: bytes, jpegs: JpegDecoder | None) -> Image.Image | None:
    pixels = jpegs(data) if jpegs and _is_for(jpegs, image, size) else None
    return None if pixels is None else Image.fromarray(pixels)


def _open(data: bytes, limits: Limits) -> Image.Image:
    """Check everything that can be checked without decoding a pixel."""
    if not data:
        raise InvalidImage("EMPTY_IMAGE", "image: must not be empty, got 0 bytes")
    if len(data) > limits.max_bytes:
        raise InvalidImage(
            "IMAGE_TOO_LARGE",
            f"image: at most {limits.max_bytes} bytes, got {len(data)}",
            limit_bytes=limits.max_bytes,
            bytes=len(data),
        )
    Image.MAX_IMAGE_PIXELS = limits.max_pixels  # for plugins that learn an image's size only while they decode
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise InvalidImage(
            "UNSUPPORTED_FORMAT",
            f"image: cannot be read as {', '.join(FORMATS)}: {len(data)} bytes that begin with {data[:8]!r}",
            formats=",".join(FORMATS),
        ) from error
    except _BOMBS as error:
        raise _bomb(limits, error) from error
    except Exception as error:
        raise _corrupt("", error) from error
    if image.format in ("JPEG", "MPO") and _scans(data) > _MAX_SCANS:
        raise InvalidImage("CORRUPT_IMAGE", f"image: at most {_MAX_SCANS} JPEG scans, got more", limit=_MAX_SCANS)
    try:
        tile = _tile_pixels(image)
    except (ValueError, OverflowError, TypeError) as error:
        raise _corrupt(image.format or "", error) from error
    if tile > limits.max_pixels:
        raise _too_many_pixels(limits, f"{tile} in one TIFF tile")
    if image.width * image.height > limits.max_pixels:
        raise _too_many_pixels(limits, f"{image.width * image.height} ({image.width} x {image.height})")
    return image


def _scans(data: bytes) -> int:
    """The scans of a JPEG up to its end, or one more than are allowed; not of a thumbnail, or of what lies behind."""
    scans, position = 0, 2
    while scans <= _MAX_SCANS and (found := _MARKER.search(data, position)) and found[1] != b"\xd9":
        scans += found[1] == b"\xda"
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    return scans


def _pixels_held(image: Image.Image, size: tuple[int, int], jpegs: JpegDecoder | None) -> int:
    """How many pixels decoding holds: a draft's, but of a progressive JPEG all, as it keeps all its coefficients."""
    if image.info.get("progressive") or _is_for(jpegs, image, size):
        return size[0] * size[1]
    return max(image.width * image.height, _tile_pixels(image))


def _is_for(jpegs: JpegDecoder | None, image: Image.Image, size: tuple[int, int]) -> bool:
    if not jpegs or image.format != "JPEG" or image.mode not in ("RGB", "L"):
        return False
    return size[0] * size[1] >= jpegs.least_pixels


def _tile_pixels(image: Image.Image) -> int:
    """Pixels of one tile of a TIFF, which may be larger than the image and is decoded whole; 0 for other files."""
    tags = getattr(image, "tag_v2", {})
    width, height = (tags.get(tag, 0) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH))
    return int(width) * int(height)


def _too_many_pixels(limits: Limits, found: str) -> InvalidImage:
    return InvalidImage(
        "TOO_MANY_PIXELS", f"image: at most {limits.max_pixels} pixels, got {found}", limit_pixels=limits.max_pixels
    )


def _bomb(limits: Limits, error: Exception) -> InvalidImage:
    return _too_many_pixels(limits, "".join(_PIXELS.findall(str(error))))


def _corrupt(file_format: str, error: Exception) -> InvalidImage:
    return InvalidImage("CORRUPT_IMAGE", f"image: a broken {file_format or 'image'} file: {_brief(error)}")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; broken metadata does not spoil a good picture."""
    try:
        orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1
    return orientation if orientation in _TRANSPOSITIONS else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("RGB", "L", "CMYK", "YCbCr", "LAB", "HSV", "1") and "transparency" not in image.info:
        return image.convert("RGB")
    if image.mode.startswith(("I", "F")):
        return _from_deep(image)
    rgba = image.convert("RGBA")
    on_white = Image.new("RGB", rgba.size, "white")
    on_white.paste(rgba, mask=rgba.getchannel("A"))
    return on_white


def _from_deep(image: Image.Image) -> Image.Image:
    """16- and 32-bit grey, scaled to 8 bits.

    A PNG uses all its 16 bits. Other files do not say how many they use: 16-bit ones by the bits that their values
    need (cameras and scanners write 10, 12 or 14), 32-bit ones by the range from the least value to the greatest.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0 if image.format == "PNG" else max(255.0, 2.0 ** np.ceil(np.log2(high + 1)) - 1)
    scaled = (values - low) * (255 / max(high - low, 1e-30))
    return Image.fromarray(scaled.clip(0, 255).astype(np.uint8)).convert("RGB")


def _brief(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
