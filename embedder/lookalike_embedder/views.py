"""Cut views out of a picture: a copy that was turned, framed or pasted looks like its original in one of them."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image

from lookalike_embedder.image import Pixels, is_featureless

_TURNS: Final = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
_PARTS: Final = (
    (0.2, 0.2, 0.8, 0.8),
    (0.0, 0.0, 0.5, 0.5),
    (0.5, 0.0, 1.0, 0.5),
    (0.0, 0.5, 0.5, 1.0),
    (0.5, 0.5, 1.0, 1.0),
)
"""Left, top, right and bottom, in shares of the sides: the middle, and the quarters.

Found as many originals as sixteen views did; a mirror image's vector is near to that of the picture anyway."""


def of(pixels: Pixels) -> list[Pixels]:
    """Return the views of a picture, as large as it is. Those that show nothing but one colour are left out.

    They are cut from the pixels that the model sees.
    """
    return [np.asarray(view) for view in _views(Image.fromarray(pixels)) if not is_featureless(view)]


def _views(picture: Image.Image) -> Iterator[Image.Image]:
    for way in _TURNS:
        yield picture.transpose(way)
    width, height = picture.size
    for left, top, right, bottom in _PARTS:
        box = left * width, top * height, right * width, bottom * height
        yield picture.resize(picture.size, Image.Resampling.BILINEAR, box)
