"""Count the parts of a file before it is decoded: decoders walk over them in Python, one by one.

A file of 16 MiB has room for 4 million empty segments of a JPEG, at 4 µs each, and for 8 million strips of a TIFF, at
13 µs (measured). The count itself stops at the limit.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final

from lookalike_embedder.errors import InvalidImage
from lookalike_serving.jpeg_markers import SCAN, markers

MAX_PARTS: Final = 16_384
"""A file may have so many parts. A PNG of 16 MiB in chunks of 8 KiB has 2,048, a TIFF in tiles of 64 x 64, 15,625."""

_BYTES: Final = (1, 2, 6, 7)
"""Values of a TIFF with these types are read as bytes, and not one by one."""


def check(data: bytes) -> None:
    """Raise InvalidImage if the file has too many parts."""
    for magic, (part_names, parts) in _KINDS.items():
        if data.startswith(magic):
            try:
                count = sum(islice(parts(data), MAX_PARTS + 1))
            except (IndexError, OverflowError, struct.error):  # the file is truncated; its decoder will say so
                return
            if count > MAX_PARTS:
                raise InvalidImage(
                    "CORRUPT_IMAGE", f"image: at most {MAX_PARTS} {part_names}, got more", limit=MAX_PARTS
                )


def scans(data: bytes, start: int = 0) -> int:
    """Return the number of scans of the JPEG that begins at `start`, up to its end, without those of a thumbnail."""
    return sum(marker == SCAN for marker, _ in islice(markers(data, start), MAX_PARTS))


def _segments(data: bytes) -> Iterator[int]:
    """Yield 1 for each segment, plus the bytes that fill gaps before the picture begins, which are read one by one."""
    head = True
    for marker, gap in markers(data):
        yield 1 + (gap if head else 0)
        head = head and marker != SCAN


def _chunks(data: bytes) -> Iterator[int]:
    position = 8
    while position < len(data):
        yield 1
        position += 12 + int.from_bytes(data[position : position + 4])


def _blocks(data: bytes) -> Iterator[int]:
    """Yield 1 for each block of a GIF before its first picture."""
    position = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while data[position] == 0x21:
        position += 2
        while length := data[position]:
            yield 1
            position += 1 + length
        yield 1
        position += 1


def _values(data: bytes) -> Iterator[int]:
    """Yield 1 for each entry of a TIFF's first directory, or the number of its values if they are read one by one."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    at, count, entry = ("Q", "Q", "HHQ8x") if big else ("I", "H", "HHI4x")
    [directory] = struct.unpack_from(order + at, data, 8 if big else 4)
    [entries] = struct.unpack_from(order + count, data, directory)
    for number in range(entries):
        place = directory + struct.calcsize(order + count) + number * struct.calcsize(order + entry)
        _, kind, length = struct.unpack_from(order + entry, data, place)
        yield 1 if kind in _BYTES else length


_KINDS: Final[Mapping[bytes, tuple[str, Callable[[bytes], Iterator[int]]]]] = {
    b"\xff\xd8": ("JPEG segments", _segments),
    b"\x89PNG": ("PNG chunks", _chunks),
    b"GIF8": ("GIF blocks", _blocks),
    b"II": ("TIFF values", _values),
    b"MM": ("TIFF values", _values),
}
"""By the first bytes of a file: the name of its parts, and the function that yields their counts."""
