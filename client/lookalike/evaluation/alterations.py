"""What becomes of a photo that somebody takes over: saved again, made smaller, cropped, framed, retouched.

Each alteration is a pure function of the photo: no chance is in it, so the same photo gives the same copy everywhere.
"""

import io
from collections.abc import Callable, Mapping
from typing import Final

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Alteration = Callable[[Image.Image], Image.Image]
"""Takes an upright RGB photo and returns another."""

_GREY: Final = (32, 33, 36)


def upright(data: bytes) -> Image.Image:
    """The photo of an image file as people see it, in RGB. Raises whatever decoders raise on broken files."""
    with Image.open(io.BytesIO(data)) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


def saved(photo: Image.Image, form: str = "JPEG", quality: int = 90, comment: bytes = b"") -> bytes:
    """The photo as an image file."""
    buffer = io.BytesIO()
    photo.save(buffer, form, quality=quality, **({"comment": comment} if comment else {}))
    return buffer.getvalue()


def recompressed(quality: int, form: str = "JPEG") -> Alteration:
    """Saved and opened again."""
    return lambda photo: upright(saved(photo, form, quality))


def resized(share: float) -> Alteration:
    """To this share of width and height."""

    def alter(photo: Image.Image) -> Image.Image:
        width, height = (max(1, int(side * share)) for side in photo.size)
        return photo.resize((width, height), Image.Resampling.LANCZOS)

    return alter


def cropped(parts: int) -> Alteration:
    """One of so many parts of width and height off every side."""

    def alter(photo: Image.Image) -> Image.Image:
        width, height = photo.size
        return photo.crop((width // parts, height // parts, width - width // parts, height - height // parts))

    return alter


def bordered(parts: int) -> Alteration:
    """A white frame, one of so many parts of the width thick."""
    return lambda photo: ImageOps.expand(photo, border=max(1, photo.width // parts), fill="white")


def rotated(degrees: float) -> Alteration:
    """Turned a little, anticlockwise; the corners are white."""
    return lambda photo: photo.rotate(degrees, Image.Resampling.BICUBIC, fillcolor="white")


def brightened(factor: float) -> Alteration:
    """Brighter, or darker below 1."""
    return lambda photo: ImageEnhance.Brightness(photo).enhance(factor)


def contrasted(factor: float) -> Alteration:
    """More contrast, or less below 1."""
    return lambda photo: ImageEnhance.Contrast(photo).enhance(factor)


def recoloured(photo: Image.Image) -> Image.Image:
    """Warmer, more saturated, brighter."""
    red, green, blue = photo.split()
    warm = Image.merge("RGB", (red.point(lambda v: v * 1.08), green, blue.point(lambda v: v * 0.92)))
    return ImageEnhance.Brightness(ImageEnhance.Color(warm).enhance(1.2)).enhance(1.05)


def greyed(photo: Image.Image) -> Image.Image:
    """Without colours."""
    return photo.convert("L").convert("RGB")


def blurred(photo: Image.Image) -> Image.Image:
    """A little out of focus: by a two-hundredth of the width."""
    return photo.filter(ImageFilter.GaussianBlur(photo.width / 200))


def watermarked(photo: Image.Image) -> Image.Image:
    """Half-transparent writing across the middle."""
    layer = Image.new("RGBA", photo.size)
    font = ImageFont.load_default(max(8, photo.width // 10))
    pen = ImageDraw.Draw(layer)
    pen.text((photo.width / 2, photo.height / 2), "© EXAMPLE", (255, 255, 255, 128), font, anchor="mm", stroke_width=1)
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


def captioned(photo: Image.Image) -> Image.Image:
    """A banner with a price over the lowest eighth."""
    banner = photo.copy()
    top = photo.height - photo.height // 8
    pen = ImageDraw.Draw(banner)
    pen.rectangle((0, top, photo.width, photo.height), "white")
    font = ImageFont.load_default(max(8, photo.height // 14))
    pen.text((photo.width / 2, (top + photo.height) / 2), "NOW 19.99", _GREY, font, anchor="mm")
    return banner


def screenshot(photo: Image.Image) -> Image.Image:
    """As on a telephone's screen: bars above and below, a tenth of the height each."""
    bar = max(1, photo.height // 10)
    screen = Image.new("RGB", (photo.width, photo.height + 2 * bar), _GREY)
    screen.paste(photo, (0, bar))
    font = ImageFont.load_default(max(8, bar // 2))
    ImageDraw.Draw(screen).text((bar / 2, bar / 2), "12:00", "white", font, anchor="lm")
    return screen


ALTERATIONS: Final[Mapping[str, Alteration]] = {
    "jpeg-90": lambda photo: photo,  # all copies are saved so in the end
    "jpeg-70": recompressed(70),
    "jpeg-50": recompressed(50),
    "jpeg-30": recompressed(30),
    "webp-50": recompressed(50, "WEBP"),
    "resize-50": resized(0.5),
    "resize-25": resized(0.25),
    "crop-2": cropped(50),
    "crop-5": cropped(20),
    "crop-10": cropped(10),
    "border-2": bordered(50),
    "border-6": bordered(16),
    "brighter": brightened(1.2),
    "darker": brightened(0.8),
    "contrast": contrasted(1.25),
    "recolour": recoloured,
    "grey": greyed,
    "blur": blurred,
    "watermark": watermarked,
    "caption": captioned,
    "screenshot": screenshot,
    "mirror": ImageOps.mirror,
    "rotate-2": rotated(2),
    "rotate-5": rotated(5),
}
"""The standard ones, by name: numbers are qualities, percent or degrees."""


def copies(data: bytes) -> dict[str, bytes]:
    """Copies of an image file, as JPEGs, by the alteration's name. Raises whatever decoders raise on broken files."""
    photo = upright(data)
    return {name: saved(alter(photo)) for name, alter in ALTERATIONS.items()}
