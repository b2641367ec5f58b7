"""What the benches show the servers: a folder's photos, or those of the demo with altered copies."""

from pathlib import Path

from lookalike.demo.copies import make_copies
from lookalike.demo.photos import photos_in, shipped_photos

_JPEG = b"\xff\xd8\xff"


def catalogue(photos: Path | None, folder: Path, most: int) -> list[Path]:
    """At most `most` image files, each different: a folder's, or the demo's photos, copies and copies of copies.

    Args:
        photos: the folder of photos; None: the demo's.
        folder: where copies are written.
        most: the most files.
    """
    if photos:
        return photos_in(photos.resolve(), most)
    shipped = shipped_photos()
    copies = _copies_of(shipped, folder / "copies")
    return [*shipped, *copies, *_copies_of(copies, folder / "second")][:most]


def jpegs_of(paths: list[Path]) -> list[bytes]:
    """The bytes of those files that are JPEGs."""
    files = [path.read_bytes() for path in paths]
    return [data for data in files if data.startswith(_JPEG)]


def _copies_of(photos: list[Path], folder: Path) -> list[Path]:
    families = (make_copies(photo, folder / str(number)) for number, photo in enumerate(photos))
    return [path for family in families for path in family.values()]
