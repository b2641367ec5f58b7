"""Small pictures, made where they are needed."""

import io
from typing import Any

from PIL import Image


def jpeg(width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    """A small JPEG of one colour but for a corner: without that, it would show nothing."""
    picture = Image.new("RGB", (width, height), colour)
    picture.paste("white" if colour == "black" else "black", (0, 0, width // 4, height // 4))
    return encoded(picture, "JPEG")


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's options
    """The image as a file of that format."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()
