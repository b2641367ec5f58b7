"""Say where two small pictures lie in each other, as attributes of SVG.

There are no styles in it, so a page that forbids inline styles shows it too.
"""

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lookalike.records import Point, Proof, Region

_HEAD: Final = struct.Struct("<4s4x8s4x3x3sHH")
"""Of a lossy WebP: RIFF, its format, a key frame's start code, and its sides, of which 14 bits count."""
_SIDE_BITS: Final = 0x3FFF
_WHOLE: Final = (Point(0, 0), Point(1, 0), Point(1, 1), Point(0, 1))


@dataclass(frozen=True)
class Picture:
    """A picture is as large as its pixels, and is embedded in the page.

    Attributes:
        width: in pixels.
        height: in pixels.
        uri: the picture as a `data:` URI.
    """

    width: int
    height: int
    uri: str


@dataclass(frozen=True)
class Drawing:
    """A drawing says where things lie, in pixels of the picture that each is drawn on.

    Attributes:
        photo_in_picture: the outline of the photo in the picture, as `points` of a polygon.
        picture_in_photo: the outline of the picture in the photo.
        transform: what lays the photo over the picture, as a `transform` of SVG.
        covered: what is covered in the picture: left, top, width and height; None if nothing is.
    """

    photo_in_picture: str
    picture_in_photo: str
    transform: str
    covered: tuple[float, float, float, float] | None


def picture(data: bytes) -> Picture | None:
    """Return the picture that a fingerprint holds, to be shown; None if there is none, or it is no lossy WebP."""
    if len(data) < _HEAD.size:
        return None
    riff, kind, start, width, height = _HEAD.unpack_from(data)
    if (riff, kind, start) != (b"RIFF", b"WEBPVP8 ", b"\x9d\x01\x2a"):
        return None
    uri = "data:image/webp;base64," + base64.b64encode(data).decode()
    return Picture(width & _SIDE_BITS, height & _SIDE_BITS, uri)


def drawing(proof: Proof | None, shown: Picture, photo: Picture) -> Drawing:
    """Return where the photo lies in the picture that is shown, and it in the photo; without a proof, both are one."""
    in_picture = proof.corners_in_query if proof else _WHOLE
    in_photo = proof.corners_in_image if proof else _WHOLE
    covered = _rectangle(proof.covered, shown) if proof and proof.covered else None
    return Drawing(_points(in_picture, shown), _points(in_photo, photo), _matrix(in_picture, shown, photo), covered)


def _points(corners: Sequence[Point], on: Picture) -> str:
    return " ".join(f"{corner.x * on.width:.2f},{corner.y * on.height:.2f}" for corner in corners)


def _matrix(corners: Sequence[Point], on: Picture, photo: Picture) -> str:
    """Return the affine transform that is nearest to four corners, as SVG draws nothing in perspective."""
    first, second, third, fourth = (complex(corner.x * on.width, corner.y * on.height) for corner in corners)
    across, down = (second - first + third - fourth) / 2, (fourth - first + third - second) / 2
    start = (first + second + third + fourth) / 4 - (across + down) / 2
    numbers = (across / photo.width, down / photo.height, start)
    return f"matrix({' '.join(f'{part:.5f}' for number in numbers for part in (number.real, number.imag))})"


def _rectangle(region: Region, on: Picture) -> tuple[float, float, float, float]:
    left, top = region.left * on.width, region.top * on.height
    return left, top, region.right * on.width - left, region.bottom * on.height - top
