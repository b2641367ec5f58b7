"""Say how a picture becomes the square of pixels that a model sees. Each model has a preprocessing of its own."""

import math
from dataclasses import dataclass
from typing import Final

SIZE: Final = 224
"""VGG16 sees a square of so many pixels a side. The aspect ratio is not kept: squashing measured no worse."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The preprocessing is all that a model's author says of its pictures, but for the scale of their pixels.

    Attributes:
        size: the side of the square that the model sees, in pixels.
        crop: the side of the square that is cut from the picture's middle, as a share of the shorter side; None: the
            whole picture is squashed.
        bicubic: whether it is resized with bicubic instead of bilinear interpolation.
    """

    size: int
    crop: float | None = None
    bicubic: bool = False

    @property
    def draft(self) -> tuple[int, int]:
        """Return the size that a JPEG must keep when it is decoded at 1/1, 1/2, 1/4 or 1/8 of its own."""
        side = math.ceil(2 * self.size / (self.crop or 1))
        return side, side

    @property
    def recipe(self) -> str:
        """Return the name of all that changes a vector before the model sees it.

        It is part of the space's digest: change it together with the code of `image` and `rgb`.
        """
        interpolation = "bicubic" if self.bicubic else "bilinear"
        square = f"{interpolation}{self.size}x{self.size}" + (f",crop{self.crop:g}" if self.crop else "")
        return f"rgb,white-or-grey,exif,draft{self.draft[0]},deep-range,{square}"

    def box(self, width: int, height: int) -> tuple[float, float, float, float] | None:
        """Return the part of a picture that the model sees: left, top, right and bottom; None: all of it."""
        if self.crop is None:
            return None
        side = min(width, height) * self.crop
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side


VGG16: Final = Preprocessing(SIZE)
