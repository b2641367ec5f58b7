"""Find the markers of a JPEG, which say where its parts begin."""

import re
from collections.abc import Iterator
from typing import Final

SCAN: Final = b"\xda"
END: Final = b"\xd9"
_MARKER: Final = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])", re.DOTALL)
"""A marker that has a length, or the end; within a scan, 0xff is followed by 0, or is a restart."""


def markers(data: bytes, start: int = 0) -> Iterator[tuple[bytes, int]]:
    """Yield each marker of the JPEG that begins at `start`, and the bytes between it and the one before.

    The last one is the end, if there is one. Those of a thumbnail in the file are left out.
    """
    position = start + 2
    while match := _MARKER.search(data, position):
        yield match[1], match.start() - position
        if match[1] == END:
            return
        position = match.end() + int.from_bytes(data[match.end() : match.end() + 2])
