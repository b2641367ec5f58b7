"""Admission and decoding: what is accepted, what is refused and how, and that all modes end as the right pixels."""

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, TiffTags

from lookalike_embedder import image
from lookalike_embedder.errors import InvalidImage
from lookalike_embedder.image import SIZE, Info, Limits
from tests.pictures import encoded, jpeg

LIMITS = Limits(max_bytes=1_000_000, max_pixels=1_000_000)


def refusal(data: bytes, limits: Limits = LIMITS) -> InvalidImage:
    with pytest.raises(InvalidImage) as caught:
        image.decode(data, limits=limits)
    return caught.value


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_jpeg_becomes_the_models_pixels_and_is_described() -> None:
    data = jpeg(640, 480)
    info, pixels = image.decode(data, limits=LIMITS)
    assert pixels.shape == (SIZE, SIZE, 3)
    assert pixels.dtype == np.uint8
    assert info == Info("JPEG", 640, 480, orientation=1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "EMPTY_IMAGE"),
        (b"this is no image at all", "UNSUPPORTED_FORMAT"),
        (jpeg(900, 900)[:2000], "CORRUPT_IMAGE"),
        (png_header(10_000, 10_000), "TOO_MANY_PIXELS"),
        (png_header(100, 100), "CORRUPT_IMAGE"),
        (jpeg() + b"\0" * 1_000_000, "IMAGE_TOO_LARGE"),
        (b"%PDF-1.7 hello", "UNSUPPORTED_FORMAT"),
    ],
)
def test_bad_input_is_refused_for_a_precise_reason(data: bytes, reason: str) -> None:
    assert refusal(data).reason == reason


NOISE = np.random.default_rng(1).integers(0, 255, (45, 60, 3), np.uint8)
PHOTO = Image.fromarray(NOISE).resize((600, 450), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0, "quality": 95}], ids=str
)
def test_a_jpeg_may_lack_its_last_marker_and_no_row(options: dict[str, int]) -> None:
    """Nor may zeros stand in for rows, as where a download has reserved its place and not ended."""
    data = encoded(PHOTO, "JPEG", **options)
    whole, pixels = image.decode(data, limits=LIMITS)
    for filled in (b"", bytes(99_999)):
        for lost in (1, 2):
            info, same = image.decode(data[:-lost] + filled, limits=LIMITS)
            assert (info, np.array_equal(same, pixels)) == (replace(whole, end_missing=True), True)
        restarts = [found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", data)]
        parts = [int(len(data) * part) for part in (0.3, 0.7, 0.9, 0.98)]
        for end in (*parts, *restarts, *(at + 1 for at in restarts)):
            assert refusal(data[:end] + filled).reason == "CORRUPT_IMAGE", end
    assert not whole.end_missing
    assert image.decode(data + bytes(999), limits=LIMITS)[0] == whole


def test_a_refusal_names_field_limit_and_value() -> None:
    error = refusal(png_header(10_000, 10_000))
    assert error.message == "image: at most 1000000 pixels, got 100000000"
    assert error.metadata == {"limit_pixels": "1000000"}
    assert refusal(b"x" * 1_000_001).metadata == {"limit_bytes": "1000000", "bytes": "1000001"}


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    """A PNG of 100 megapixels that packs into a few hundred kilobytes costs nothing to refuse."""
    bomb = encoded(Image.new("1", (10_000, 10_000)), "PNG")
    assert refusal(bomb).reason == "TOO_MANY_PIXELS"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation: int) -> None:
    """All eight ways to store the same upright picture give the same pixels and the same upright size."""
    upright = Image.new("RGB", (400, 300), "white")
    upright.paste("red", (0, 0, 200, 150))
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turned = upright.transpose(stored[orientation]) if orientation in stored else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    info, pixels = image.decode(encoded(turned, "PNG", exif=exif), limits=LIMITS)
    _, expected = image.decode(encoded(upright, "PNG"), limits=LIMITS)
    assert info == Info("PNG", 400, 300, orientation)
    assert np.abs(pixels.astype(int) - expected).max() <= 2


def test_an_orientation_that_does_not_exist_is_none() -> None:
    exif = Image.Exif()
    exif[0x0112] = 9
    assert image.decode(encoded(Image.new("RGB", (40, 30)), "PNG", exif=exif), limits=LIMITS)[0].orientation == 1


def test_room_is_held_for_the_pixels_that_are_decoded_and_given_back() -> None:
    """A JPEG's draft needs less of it than its size."""
    held: list[int] = []

    @contextmanager
    def room(pixels: int) -> Iterator[None]:
        held.append(pixels)
        yield
        held.append(-pixels)

    image.decode(encoded(Image.new("RGB", (40, 30)), "PNG"), room, limits=LIMITS)
    image.decode(jpeg(1000, 900), room, limits=LIMITS)
    with pytest.raises(InvalidImage):
        image.decode(png_header(100, 100), room, limits=LIMITS)
    assert held == [1200, -1200, 500 * 450, -500 * 450, 10_000]  # an exception passes through the room


def test_heic_is_accepted_where_its_extra_is_installed() -> None:
    """It is in the tests' environment."""
    pi_heif = pytest.importorskip("pi_heif", reason="pi-heif is needed: the extra heic")
    assert "HEIF" in image.FORMATS
    assert pi_heif.libheif_info()
    with pytest.raises(InvalidImage) as caught:
        image.decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100, limits=LIMITS)
    assert caught.value.reason in ("CORRUPT_IMAGE", "UNSUPPORTED_FORMAT")


def centre(data: bytes) -> tuple[int, ...]:
    return tuple(int(v) for v in image.decode(data, limits=LIMITS)[1][SIZE // 2, SIZE // 2])


def test_transparency_is_laid_on_white() -> None:
    assert centre(encoded(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "PNG")) == (255, 255, 255)
    assert centre(encoded(Image.new("LA", (50, 50), (0, 128)), "PNG")) == (127, 127, 127)
    palette = Image.new("P", (50, 50), 0)
    palette.putpalette([10, 20, 30] * 256)
    assert centre(encoded(palette, "PNG", transparency=0)) == (255, 255, 255)


def test_deep_grey_is_scaled_to_eight_bits() -> None:
    """A PNG uses all its bits; a TIFF of a 12-bit camera does not, and must not end up black."""
    deep = Image.fromarray(np.full((50, 50), 32_896, np.uint16))
    assert centre(encoded(deep, "PNG")) == (128, 128, 128)
    assert centre(encoded(deep, "TIFF")) == (128, 128, 128)
    twelve_bits = Image.fromarray(np.full((50, 50), 2056, np.uint16))
    assert centre(encoded(twelve_bits, "TIFF"))[0] == pytest.approx(128, abs=1)


def test_floating_point_grey_uses_its_own_range_and_survives_what_is_no_number() -> None:
    values = np.tile(np.linspace(-1, 1, 51, dtype=np.float32), (51, 1))
    values[0, 0], values[0, 1] = np.nan, np.inf
    assert centre(encoded(Image.fromarray(values), "TIFF"))[0] == pytest.approx(128, abs=3)


def test_a_jpeg_of_too_many_scans_is_refused() -> None:
    """Each scan of a progressive JPEG costs a pass over all its pixels: a small file could cost hours."""
    data = encoded(Image.new("L", (64, 64)), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    bomb = data[:scan] + data[scan:-2] * 200 + b"\xff\xd9"
    error = refusal(bomb)
    assert error.reason == "CORRUPT_IMAGE"
    assert "at most 100 JPEG scans" in error.message


def test_a_tiff_of_one_giant_tile_is_refused() -> None:
    """The tile is decoded whole, however small the picture in it claims to be."""
    pixels = zlib.compress(bytes(64))
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: 20_000, 323: 20_000, 324: 200, 325: len(pixels)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    bomb = (b"II*\0" + struct.pack("<I", 8) + directory).ljust(200, b"\0") + pixels
    error = refusal(bomb)
    assert error.message == "image: at most 1000000 pixels, got 400000000 in one TIFF tile"


@pytest.mark.parametrize(
    ("mode", "colour", "file_format"),
    [
        ("RGB", (200, 30, 40), "PNG"),
        ("RGB", (200, 30, 40), "WEBP"),
        ("RGB", (200, 30, 40), "BMP"),
        ("RGB", (200, 30, 40), "TIFF"),
        ("RGB", (200, 30, 40), "AVIF"),
        ("CMYK", (0, 217, 204, 55), "JPEG"),
        ("L", 90, "PNG"),
        ("1", 1, "PNG"),
        ("P", 7, "GIF"),
    ],
)
def test_every_accepted_format_and_mode_is_decoded(mode: str, colour: object, file_format: str) -> None:
    stored = Image.new(mode, (50, 50), colour)
    expected = stored.convert("RGB").getpixel((25, 25))
    lossless = {"lossless": True} if file_format == "WEBP" else {}
    found = centre(encoded(stored, file_format, **lossless))
    assert np.abs(np.subtract(found, expected)).max() <= 6


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (50, 50), colour) for colour in ("red", "blue")]
    assert centre(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])) == (255, 0, 0)


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size() -> None:
    """The picture stays the same, within what scaling costs."""
    ramp = np.linspace(0, 255, 2000, dtype=np.uint8)
    photo = Image.fromarray(np.stack([np.tile(ramp, (1600, 1))] * 3, axis=-1))
    limits = Limits(10_000_000, 10_000_000)
    scaled = image.decode(encoded(photo, "JPEG", quality=95), limits=limits)[1].astype(int)
    full = image.decode(encoded(photo, "PNG"), limits=limits)[1]
    assert np.abs(scaled - full).max() <= 6


def test_scans_are_counted_in_the_picture_alone() -> None:
    """Not in what telephones put behind it: the frames of a moving photo."""
    assert image.decode(jpeg() + b"\xff\xda" * 1000, limits=LIMITS)[0].format == "JPEG"
    head, scan = jpeg()[:-2].split(b"\xff\xda", 1)
    many = head + (b"\xff\xda" + scan) * 101 + b"\xff\xd9"
    assert refusal(many).reason == "CORRUPT_IMAGE"
    assert "scans" in refusal(many).message


def test_a_progressive_jpeg_needs_room_for_all_its_pixels() -> None:
    held: list[int] = []

    @contextmanager
    def room(pixels: int) -> Iterator[None]:
        held.append(pixels)
        yield

    image.decode(encoded(Image.new("RGB", (1000, 900)), "JPEG", progressive=True), room, limits=LIMITS)
    assert held == [900_000]


def test_a_tiff_with_an_absurd_tile_is_corrupt() -> None:
    """Its width is no number: Pillow writes that for a private tag only, which is renamed here."""
    private = 65000
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[private] = TiffTags.FLOAT
    tags[private] = float("nan")
    good = encoded(Image.new("RGB", (50, 50)), "TIFF", tiffinfo=tags)
    renamed = (struct.pack("<HH", tag, TiffTags.FLOAT) for tag in (private, TiffImagePlugin.TILEWIDTH))
    assert refusal(good.replace(*renamed)).reason == "CORRUPT_IMAGE"


def test_broken_metadata_does_not_spoil_a_good_picture() -> None:
    data = encoded(Image.new("RGB", (50, 50), "red"), "JPEG", exif=b"Exif\0\0garbage")
    assert image.decode(data, limits=LIMITS)[0].width == 50
