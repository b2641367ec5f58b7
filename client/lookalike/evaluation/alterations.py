"""Make altered copies of a photo, as people do who reuse it: saved again, made smaller, cropped, framed, retouched.

Each alteration is a pure function of the photo and uses no random numbers, so the same photo gives the same copy.
"""

import io
from collections.abc import Callable, Mapping
from typing import Final

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Alteration = Callable[[Image.Image], Image.Image]
"""A function that takes an upright RGB photo and returns an altered one."""

_GREY: Final = (32, 33, 36)


def upright(data: bytes) -> Image.Image:
    """Decode an image file to an RGB photo, turned as people see it. Decoders raise many errors on broken files."""
    with Image.open(io.BytesIO(data)) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


def saved(photo: Image.Image, form: str = "JPEG", quality: int = 90, comment: bytes = b"") -> bytes:
    """Return the photo as the bytes of an image file."""
    buffer = io.BytesIO()
    photo.save(buffer, form, quality=quality, **({"comment": comment} if comment else {}))
    return buffer.getvalue()


def recompressed(quality: int, form: str = "JPEG") -> Alteration:
    """Return the alteration that saves the photo and opens it again."""
    return lambda photo: upright(saved(photo, form, quality))


def resized(factor: float) -> Alteration:
    """Return the alteration that scales width and height by this factor."""

    def alter(photo: Image.Image) -> Image.Image:
        width, height = (max(1, int(side * factor)) for side in photo.size)
        return photo.resize((width, height), Image.Resampling.LANCZOS)

    return alter


def cropped(parts: int) -> Alteration:
    """Return the alteration that cuts 1/parts of the width or the height off each side."""

    def alter(photo: Image.Image) -> Image.Image:
        width, height = photo.size
        return photo.crop((width // parts, height // parts, width - width // parts, height - height // parts))

    return alter


def bordered(parts: int) -> Alteration:
    """Return the alteration that adds a white frame, as thick as 1/parts of the width."""
    return lambda photo: ImageOps.expand(photo, border=max(1, photo.width // parts), fill="white")


def rotated(degrees: float) -> Alteration:
    """Return the alteration that turns the photo anticlockwise; the corners become white."""
    return lambda photo: photo.rotate(degrees, Image.Resampling.BICUBIC, fillcolor="white")


def brightened(factor: float) -> Alteration:
    """Return the alteration that multiplies the brightness; a factor below 1 makes the photo darker."""
    return lambda photo: ImageEnhance.Brightness(photo).enhance(factor)


def contrasted(factor: float) -> Alteration:
    """Return the alteration that multiplies the contrast; a factor below 1 makes it weaker."""
    return lambda photo: ImageEnhance.Contrast(photo).enhance(factor)


def recoloured(photo: Image.Image) -> Image.Image:
    """Make the photo's colours warmer, more saturated and brighter."""
    red, green, blue = photo.split()
    warm = Image.merge("RGB", (red.point(lambda v: v * 1.08), green, blue.point(lambda v: v * 0.92)))
    return ImageEnhance.Brightness(ImageEnhance.Color(warm).enhance(1.2)).enhance(1.05)


def greyed(photo: Image.Image) -> Image.Image:
    """Remove the colours of the photo."""
    return photo.convert("L").convert("RGB")


def blurred(photo: Image.Image) -> Image.Image:
    """Blur the photo a little, with a radius of 1/200 of the width."""
    return photo.filter(ImageFilter.GaussianBlur(photo.width / 200))


def watermarked(photo: Image.Image) -> Image.Image:
    """Write half-transparent text across the middle of the photo."""
    layer = Image.new("RGBA", photo.size)
    font = ImageFont.load_default(max(8, photo.width // 10))
    pen = ImageDraw.Draw(layer)
    pen.text((photo.width / 2, photo.height / 2), "© EXAMPLE", (255, 255, 255, 128), font, anchor="mm", stroke_width=1)
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


def captioned(photo: Image.Image) -> Image.Image:
    """Draw a banner with a price over the lowest eighth of the photo."""
    banner = photo.copy()
    top = photo.height - photo.height // 8
    pen = ImageDraw.Draw(banner)
    pen.rectangle((0, top, photo.width, photo.height), "white")
    font = ImageFont.load_default(max(8, photo.height // 14))
    pen.text((photo.width / 2, (top + photo.height) / 2), "NOW 19.99", _GREY, font, anchor="mm")
    return banner


def screenshot(photo: Image.Image) -> Image.Image:
    """Make a screenshot of a phone: add bars above and below, each a tenth of the photo's height."""
    bar = max(1, photo.height // 10)
    screen = Image.new("RGB", (photo.width, photo.height + 2 * bar), _GREY)
    screen.paste(photo, (0, bar))
    font = ImageFont.load_default(max(8, bar // 2))
    ImageDraw.Draw(screen).text((bar / 2, bar / 2), "12:00", "white", font, anchor="lm")
    return screen


ALTERATIONS: Final[Mapping[str, Alteration]] = {
    "jpeg-90": lambda photo: photo,  # `copies` saves every copy as JPEG of quality 90
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
"""The standard alterations by name; the numbers in names are qualities, percent or degrees."""


def copies(data: bytes) -> dict[str, bytes]:
    """Return a copy of an image file for each alteration, as JPEG. Decoders raise many errors on broken files."""
    photo = upright(data)
    return {name: saved(alter(photo)) for name, alter in ALTERATIONS.items()}
