"""Load JPEGs that lack their last bytes, if these bytes hold nothing of the picture.

Pillow refuses a JPEG without its end marker, although every viewer shows it; or else it takes each truncated file, with
grey in place of what is missing. libjpeg tells the two apart, but Pillow does not pass that on. So we decode such a
file with two different ends: a picture that needs the missing bytes is not the same with both.
"""

import hashlib
import io
from typing import Final

from PIL import Image

from lookalike_serving.jpeg_markers import END, markers
from lookalike_serving.rgb import bands

_FORMATS: Final = ("JPEG", "MPO")
_END: Final = b"\xff" + END
_STRAY: Final = hashlib.sha512(b"no picture goes on like this").digest().replace(b"\xff", b"\x5a")
_OTHER_END: Final = b"".join(_STRAY + bytes((0xFF, 0xD0 + number)) for number in range(8)) + _STRAY + _END
"""This end goes on with stray data. It has all restart markers, since the file may end before one of them."""


def loaded(image: Image.Image, data: bytes, draft_size: tuple[int, int]) -> tuple[Image.Image, bool]:
    """Load an image that is open, and return it together with whether the file lacks its end.

    Args:
        image: the image. It is closed if another one is returned.
        data: the file.
        draft_size: the size of the draft that the image was set to.

    Raises:
        OSError: the file is broken, or a part of the picture is missing.
        Exception: the decoder fails in another way, as it may on hostile bytes.
    """
    if image.format not in _FORMATS or _has_end(data):
        image.load()
        return image, False
    image.close()
    written = _written(data)
    expected = _digest(_decoded(_continued(written), draft_size))
    completed = _decoded(written + _END, draft_size)
    if _digest(completed) != expected:
        raise OSError("a part of the picture is missing at its end")
    return completed, True


def _has_end(data: bytes) -> bool:
    return data.endswith(_END) or any(marker == END for marker, _ in markers(data))


def _written(data: bytes) -> bytes:
    """Return the file without zeros at its end: they stand for what was never written, and decode to stripes."""
    written = data.rstrip(b"\0")
    return written + b"\0" if len(written) < len(data) and written.endswith(b"\xff") else written


def _continued(data: bytes) -> bytes:
    """Return the file with the other end. A zero after `ff` says that this is data, and no marker."""
    return data + (b"\0" if data.endswith(b"\xff") else b"") + _OTHER_END


def _decoded(data: bytes, draft_size: tuple[int, int]) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    image.draft("RGB", draft_size)
    image.load()
    return image


def _digest(image: Image.Image) -> bytes:
    digest = hashlib.blake2b()
    for _, band in bands(image):
        digest.update(band.tobytes())
    return digest.digest()
