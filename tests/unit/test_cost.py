"""What a file would take to decode is told before it is decoded: its parts, its scans, its bytes."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
from PIL import Image

from lookalike_embedder import cost, image, structure
from lookalike_embedder.errors import InvalidImage
from lookalike_embedder.image import SIZE, Limits
from lookalike_serving import rgb
from lookalike_serving.errors import ShuttingDown
from tests.pictures import encoded, jpeg

LIMITS = Limits(max_bytes=1_000_000, max_pixels=10_000)
MANY = structure.MAX_PARTS + 1


def refusal(data: bytes, limits: Limits = LIMITS) -> InvalidImage:
    with pytest.raises(InvalidImage) as caught:
        image.decode(data, limits=limits)
    return caught.value


def png_with(kind: bytes, count: int) -> bytes:
    """A good PNG with so many empty chunks before its pixels."""
    good = encoded(Image.new("RGB", (64, 64)), "PNG")
    place = good.index(b"IDAT") - 4
    return good[:place] + (struct.pack(">I", 0) + kind + struct.pack(">I", zlib.crc32(kind))) * count + good[place:]


def gif_with(blocks: bytes) -> bytes:
    good = encoded(Image.new("P", (64, 64)), "GIF")
    place = good.index(b",", 13)
    return good[:place] + blocks + good[place:]


def tiff(tags: dict[int, Sequence[int]], body: bytes = b"", order: str = "<") -> bytes:
    """A TIFF with these tags, all of them long numbers; its body begins at byte 8."""
    entries, further = b"", b""
    start = 8 + len(body) + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        place = packed if len(values) == 1 else struct.pack(order + "I", start + len(further))
        further += b"" if len(values) == 1 else packed
        entries += struct.pack(order + "HHI", tag, 4, len(values)) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(body))
    return head + body + struct.pack(order + "H", len(tags)) + entries + bytes(4) + further


def strips(count: int, order: str = "<") -> bytes:
    """A grey TIFF whose rows are all the same bytes."""
    tags = {256: [8], 257: [count], 258: [8], 259: [1], 262: [1], 273: [8] * count, 277: [1], 278: [1]}
    return tiff(tags, bytes(8), order)


PARTS = [
    ("PNG chunks", lambda count: png_with(b"abCd", count)),
    ("PNG chunks", lambda count: png_with(b"IDAT", count)),
    ("JPEG segments", lambda count: jpeg()[:2] + b"\xff\xe9\0\2" * count + jpeg()[2:]),
    ("JPEG segments", lambda count: jpeg()[:2] + b"\xff" * count + jpeg()[2:]),
    ("JPEG segments", lambda count: jpeg()[:-2] + b"\xff\xe9\0\2" * count + jpeg()[-2:]),
    ("GIF blocks", lambda count: gif_with(b"\x21\xf9\x04\0\0\0\0\0" * count)),
    ("GIF blocks", lambda count: gif_with(b"\x21\xfe" + b"\1a" * count + b"\0")),
    ("TIFF values", lambda count: strips(count)),
    ("TIFF values", lambda count: strips(count, ">")),
]


@pytest.mark.parametrize(("what", "made"), PARTS)
def test_a_file_of_too_many_parts_is_refused_before_its_decoder_walks_over_them(what: str, made: object) -> None:
    error = refusal(made(MANY), Limits(1 << 24, 1_000_000))
    assert (error.reason, error.message) == ("CORRUPT_IMAGE", f"image: at most 16384 {what}, got more")
    assert image.decode(made(1000), limits=Limits(1 << 24, 1_000_000))[0].width in (8, 64)


def test_a_file_that_ends_in_the_midst_of_its_parts_is_told_by_its_decoder() -> None:
    for good in (encoded(Image.new("RGB", (64, 64)), "PNG"), jpeg(), gif_with(b""), strips(10)):
        for end in range(1, min(len(good), 60)):
            structure.check(good[:end])


@pytest.mark.parametrize("place", [1 << 20, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_a_large_tiff_whose_parts_lie_beyond_its_end_is_told_by_its_decoder(place: int) -> None:
    large = b"II+\0" + struct.pack("<HHQ", 8, 0, place) + bytes(64)
    assert refusal(large).reason == "CORRUPT_IMAGE"


def with_scans(count: int, side: int = 100) -> bytes:
    """A progressive JPEG of so many scans."""
    good = encoded(Image.new("L", (side, side)), "JPEG", progressive=True)
    last = good.rindex(b"\xff\xda")
    return good[:last] + good[last:-2] * (count - good.count(b"\xff\xda") + 1) + b"\xff\xd9"


def test_scans_are_bounded_by_what_they_go_over() -> None:
    """Encoders write ten: those of the largest image pass. A smaller one may have more."""
    assert image.decode(with_scans(10), limits=LIMITS)[0].format == "JPEG"
    assert image.decode(with_scans(100, side=30), limits=LIMITS)[0].format == "JPEG"
    error = refusal(with_scans(11))
    assert error.reason == "TOO_MANY_PIXELS"
    assert error.message == "image: at most 100000 pixels over all scans, got 110000 (11 scans of 100 x 100)"
    assert error.metadata == {"limit_scanned_pixels": "100000"}


def test_scans_do_not_hide_behind_a_marker_that_has_no_length() -> None:
    """What follows such a marker is no length, though it looks like one that spans the scans behind it."""
    good = with_scans(50)
    first = good.index(b"\xff\xda") + 2
    hidden = good[:first] + good[first:].replace(b"\xff\xda", b"\xff\x01\xff\xda")
    assert structure.scans(hidden) == 50
    assert refusal(hidden).reason == "TOO_MANY_PIXELS"


def test_jpegs_within_a_tiff_are_counted_each_time_that_they_are_decoded() -> None:
    """Each of its strips may be the same one."""
    data = with_scans(20, side=16)
    tags = {256: [16], 257: [64], 258: [8], 259: [7], 262: [1], 273: [8] * 4, 277: [1], 278: [16], 279: [len(data)] * 4}
    error = refusal(tiff(tags, data), Limits(1_000_000, 1024))
    assert error.message == "image: at most 10240 pixels over all scans, got 20480 (20 scans of 16 x 64)"
    assert image.decode(encoded(Image.new("RGB", (100, 100)), "TIFF", compression="jpeg"), limits=LIMITS)


def test_an_image_that_takes_too_many_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.new("RGB", (100, 50)), "PNG")
    monkeypatch.setattr(cost, "MAX_BYTES_PER_PIXEL", 1)
    error = refusal(data)
    assert error.reason == "TOO_MANY_PIXELS"
    assert error.message == ("image: at most 10000 bytes while it is decoded, got 20000 (100 x 50 pixels of 4.0 bytes)")
    assert error.metadata == {"limit_decoded_bytes": "10000"}


def held(data: bytes) -> float:
    """Room that is held for an image, for each of its pixels."""
    taken: list[int] = []

    @contextmanager
    def room(pixels: int) -> Iterator[None]:
        taken.append(pixels)
        yield

    info, _ = image.decode(data, room, limits=Limits(1 << 24, 1_000_000))
    return taken[0] / (info.width * info.height)


FLOATS = Image.new("F", (100, 100))


@pytest.mark.parametrize(
    ("data", "least", "most"),
    [
        (encoded(Image.new("RGB", (100, 100)), "PNG"), 1, 1),
        (encoded(Image.new("L", (100, 100)), "PNG"), 0.25, 0.25),
        (encoded(Image.new("RGBA", (100, 100)), "PNG"), 2, 2.2),
        (encoded(Image.new("L", (100, 100)), "PNG", transparency=1), 1.25, 2.2),
        (encoded(Image.new("I;16", (100, 100)), "PNG"), 1, 1.2),
        (encoded(FLOATS, "TIFF", compression="tiff_adobe_deflate"), 1.5, 2.5),
        (encoded(Image.new("RGB", (100, 100)), "WEBP"), 4, 4.5),
        (encoded(Image.new("RGB", (100, 100)), "AVIF"), 3, 3.5),
        (encoded(Image.new("RGB", (900, 900)), "JPEG"), 0.25, 0.25),
        (encoded(Image.new("RGB", (900, 900)), "JPEG", progressive=True, subsampling=0), 1.75, 1.75),
        (encoded(Image.new("RGB", (900, 900)), "JPEG", progressive=True, subsampling=2), 1, 1),
    ],
)
def test_room_is_counted_in_bytes_and_not_in_pixels(data: bytes, least: float, most: float) -> None:
    """A pixel of 8-bit RGB is one, and others are as many as they take."""
    assert least <= held(data) <= most


def test_a_tiffs_strip_takes_room_beside_the_picture() -> None:
    """It is unpacked whole: here it is the picture once more."""
    whole, rows = (encoded(FLOATS, "TIFF", compression="tiff_lzw", tiffinfo={278: rows}) for rows in (100, 1))
    assert held(whole) == pytest.approx(held(rows) + 1, abs=0.05)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "PA", "LA", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"])
def test_bands_make_the_same_picture_as_the_whole(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row at once, and all."""
    noise = np.random.default_rng(1).integers(0, 255, (60, 50, 4), np.uint8)
    picture = Image.fromarray(noise).convert("RGB")
    if mode in ("I;16", "I", "F"):
        picture = Image.fromarray(noise.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])[..., 0] * 7)
    elif mode in ("LA", "RGBA", "PA"):
        picture = Image.fromarray(noise).convert(mode)
    else:
        picture = picture.convert(mode)
    monkeypatch.setattr(rgb, "_BAND_PIXELS", 1 << 30)
    whole = np.asarray(rgb.shrunk(picture, SIZE))
    monkeypatch.setattr(rgb, "_BAND_PIXELS", 1)
    assert np.array_equal(np.asarray(rgb.shrunk(picture, SIZE)), whole)
    assert whole.std() > 1


def test_a_room_that_is_closed_is_no_fault_of_the_file() -> None:
    def closed(_: int) -> AbstractContextManager[None]:
        raise ShuttingDown

    with pytest.raises(ShuttingDown):
        image.decode(jpeg(), closed, limits=LIMITS)


def test_a_refusal_quotes_nothing_of_the_file() -> None:
    """It may be any file, and the message goes to whoever named it."""
    error = refusal(b"root:x:0:0:secret")
    assert error.reason == "UNSUPPORTED_FORMAT"
    assert not any(part in f"{error.message}{error.metadata}" for part in ("root", "secret", "x:0"))
