"""Name the file formats of images that our servers decode, the embedder and the gateway alike."""

from importlib.util import find_spec
from typing import Final

from PIL import Image

_HEIF: Final = find_spec("pi_heif") is not None

Image.init()
if _HEIF:
    import pi_heif

    pi_heif.register_heif_opener()

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", *(("HEIF",) if _HEIF else ()))
"""Accepted file formats, by Pillow's names; HEIF (HEIC of telephones) if the extra `heic` is installed. Of an
animation, the first frame is used, of a camera's MPO, its first JPEG."""
