"""Files of all kinds that an embedder is sent: photos in every format and mode, broken ones, hostile ones."""

import io
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from tests.bench.decoding import photo_of_12_megapixels
from tests.pictures import encoded

_SIDES = (160, 320, 640, 1024, 1600, 2400)
_LARGE_SHARE = 0.01
_REFUSED_SHARE = 0.15


def mixture(jpegs: list[bytes], further: Path | None) -> Iterator[bytes]:
    """Endless files in an order that is random but always the same: 1 % of 12 megapixels, 15 % bad, the rest good."""
    choice = random.Random(0)  # noqa: S311 - no secret
    photos = [Image.open(io.BytesIO(data)).convert("RGB") for data in jpegs[:: max(1, len(jpegs) // 12)]]
    good = [file for number, photo in enumerate(photos) for file in _good(photo, _SIDES[number % len(_SIDES)])]
    bad = [*_broken(good), *_hostile()]
    if further:
        bad += [path.read_bytes() for path in sorted(further.iterdir()) if path.is_file()]
    large = photo_of_12_megapixels(jpegs[0])
    while True:
        draw = choice.random()
        if draw < _LARGE_SHARE:
            yield large
        else:
            yield choice.choice(bad if draw < _LARGE_SHARE + _REFUSED_SHARE else good)


def _good(photo: Image.Image, side: int) -> Iterator[bytes]:
    """A photo in the formats and modes that are accepted."""
    photo = photo.resize((side, max(1, side * photo.height // photo.width)))
    turned = Image.Exif()
    turned[0x0112] = 6
    alpha = photo.copy()
    alpha.putalpha(photo.convert("L"))
    yield encoded(photo, "JPEG", quality=90)
    yield encoded(photo, "JPEG", quality=85, progressive=True)
    yield encoded(photo, "JPEG", exif=turned)
    yield encoded(photo.convert("CMYK"), "JPEG")
    yield encoded(photo, "WEBP")
    small = photo.resize((max(1, photo.width // 2), max(1, photo.height // 2)))  # these are large as files
    yield encoded(alpha.resize(small.size), "PNG", compress_level=1)
    yield encoded(small.convert("L").convert("I").point(lambda value: value * 257).convert("I;16"), "PNG")
    yield encoded(small.quantize(64), "GIF")
    yield encoded(small, "TIFF", compression="tiff_lzw")
    yield encoded(small.convert("P"), "BMP")


def _broken(good: list[bytes]) -> Iterator[bytes]:
    """Files cut off, and files with bytes turned over."""
    choice = random.Random(1)  # noqa: S311 - no secret
    for data in good[::3]:
        yield data[: len(data) // choice.randint(2, 8)]
        spoilt = bytearray(data)
        for _ in range(20):
            spoilt[choice.randrange(len(spoilt))] ^= 0xFF
        yield bytes(spoilt)


def _hostile() -> Iterator[bytes]:
    """Nothing, no image, and images that claim or cost far more than they are."""
    yield b""
    yield b"<html>404</html>" * 100
    yield _png_header(60_000, 60_000)
    yield b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + bytes(64)
    yield encoded(Image.new("L", (6000, 6000)), "PNG")  # 36 megapixels in 40 kB, within the limit
    scans = encoded(Image.new("L", (64, 64)), "JPEG", progressive=True)
    last = scans.rindex(b"\xff\xda")
    yield scans[:last] + scans[last:-2] * 200 + b"\xff\xd9"
    yield _tiff_of_one_giant_tile()


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(b"")) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _tiff_of_one_giant_tile() -> bytes:
    pixels = zlib.compress(bytes(64))
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: 20_000, 323: 20_000, 324: 200, 325: len(pixels)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(200, b"\0") + pixels
