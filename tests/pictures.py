"""Small pictures, made where they are needed, and photos that ship with an extra."""

import io
from pathlib import Path
from typing import Any

import skimage
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


def shipped(name: str) -> Image.Image:
    """A photo that scikit-image ships."""
    with Image.open(Path(skimage.__file__).parent / "data" / name) as opened:
        return opened.convert("RGB")
