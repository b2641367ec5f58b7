"""The standard alterations, harder ones, and recoloured photos, which are no plain copies."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from lookalike.evaluation import alterations
from lookalike.evaluation.alterations import Alteration

Composed = Callable[[Image.Image, Sequence[Image.Image]], Image.Image]
"""A function that takes a photo and other photos to put beside it."""


def part(left: float, top: float, right: float, bottom: float) -> Alteration:
    """Return the alteration that keeps this part of the photo, in shares of its sides."""

    def alter(photo: Image.Image) -> Image.Image:
        width, height = photo.size
        return photo.crop((int(left * width), int(top * height), int(right * width), int(bottom * height)))

    return alter


def framed(share: float, colour: str) -> Alteration:
    """Return the alteration that adds a border, as thick as this share of the longer side."""
    return lambda photo: ImageOps.expand(photo, border=max(1, int(share * max(photo.size))), fill=colour)


def turned(degrees: int) -> Alteration:
    """Return the alteration that turns the photo, with all of its corners."""
    return lambda photo: photo.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="white")


def squeezed(factor: float) -> Alteration:
    """Return the alteration that scales the width alone."""
    return lambda photo: photo.resize((max(1, int(photo.width * factor)), photo.height), Image.Resampling.LANCZOS)


def in_perspective(photo: Image.Image) -> Image.Image:
    """Photograph the photo from the side: its right edge is a sixth shorter."""
    width, height = photo.size
    corners = (0, 0, 0, height, width, height * 13 / 12, width, -height / 12)
    return photo.transform(photo.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC, fillcolor="white")


def stickered(photo: Image.Image) -> Image.Image:
    """Cover a fifth of the photo with a round sticker."""
    covered = photo.copy()
    radius = (photo.width * photo.height * 0.2 / np.pi) ** 0.5
    x, y = photo.width * 0.62, photo.height * 0.4
    pen = ImageDraw.Draw(covered)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), (214, 38, 52))
    pen.text((x, y), "SALE", "white", ImageFont.load_default(max(8, int(radius / 2))), anchor="mm")
    return covered


def filtered(photo: Image.Image) -> Image.Image:
    """Do what telephones' filters do: lift the shadows, warm the lights, darken the corners, add grain."""
    values = np.asarray(photo, np.float32) / 255
    values = 0.08 + 0.9 * (values + 0.12 * np.sin(2 * np.pi * (values - 0.5)))
    rows, columns = np.mgrid[-1 : 1 : photo.height * 1j, -1 : 1 : photo.width * 1j]
    values *= (1 - 0.22 * (rows**2 + columns**2))[..., None] * np.float32((1.04, 1.0, 0.93))
    values += np.random.default_rng(0).normal(0, 0.015, values.shape[:2])[..., None]
    return Image.fromarray((values.clip(0, 1) * 255).astype(np.uint8))


def passed_on(photo: Image.Image) -> Image.Image:
    """Save the photo three times, each time smaller and worse."""
    for quality in (70, 60, 50):
        photo = alterations.recompressed(quality)(alterations.resized(0.75)(photo))
    return photo


def hue_turned(degrees: int) -> Alteration:
    """Return the alteration that turns all colours on the colour wheel."""

    def alter(photo: Image.Image) -> Image.Image:
        hue, saturation, value = photo.convert("HSV").split()
        moved = hue.point(lambda level: (level + degrees * 256 // 360) % 256)
        return Image.merge("HSV", (moved, saturation, value)).convert("RGB")

    return alter


def pasted(photo: Image.Image, others: Sequence[Image.Image]) -> Image.Image:
    """Paste the photo into another one, which is twice as large."""
    ground = ImageOps.fit(others[0], (photo.width * 2, photo.height * 2))
    ground.paste(photo, (int(photo.width * 0.35), int(photo.height * 0.6)))
    return ground


def collage(photo: Image.Image, others: Sequence[Image.Image]) -> Image.Image:
    """Put the photo beside three others."""
    sheet = Image.new("RGB", (photo.width * 2, photo.height * 2))
    for place, tile in enumerate((others[0], photo, *others[1:3])):
        sheet.paste(ImageOps.fit(tile, photo.size), (place % 2 * photo.width, place // 2 * photo.height))
    return sheet


def _alone(alter: Alteration) -> Composed:
    return lambda photo, _: alter(photo)


HARDER: Final[Mapping[str, Composed]] = {
    "half-left": _alone(part(0, 0, 0.5, 1)),
    "half-bottom": _alone(part(0, 0.5, 1, 1)),
    "half-middle": _alone(part(0.15, 0.15, 0.85, 0.85)),
    "border-15-black": _alone(framed(0.15, "black")),
    "border-15-white": _alone(framed(0.15, "white")),
    "pasted": pasted,
    "collage": collage,
    "sticker": _alone(stickered),
    "mirror-crop": _alone(lambda photo: alterations.cropped(10)(ImageOps.mirror(photo))),
    "crop-border": _alone(lambda photo: framed(0.08, "white")(alterations.cropped(10)(photo))),
    "mirror-crop-border": _alone(lambda photo: framed(0.08, "white")(alterations.cropped(10)(ImageOps.mirror(photo)))),
    "rotate-10": _alone(turned(10)),
    "rotate-90": _alone(turned(90)),
    "rotate-180": _alone(turned(180)),
    "perspective": _alone(in_perspective),
    "squeeze-75": _alone(squeezed(0.75)),
    "filter": _alone(filtered),
    "passed-on": _alone(passed_on),
}
COPIES: Final[Mapping[str, Composed]] = {
    **{name: _alone(alter) for name, alter in alterations.ALTERATIONS.items()},
    **HARDER,
}
"""What a copy is, by name: the original is to be found."""
RECOLOURED: Final[Mapping[str, Alteration]] = {f"hue-{degrees}": hue_turned(degrees) for degrees in (60, 120, 180)}
"""The same photo of an article of another colour: the original is to be found, and the colours to be told."""
