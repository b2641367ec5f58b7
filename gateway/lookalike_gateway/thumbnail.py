"""Make small pictures of indexed local files; the searcher has smaller ones of others, in their fingerprints.

Nobody names a file here, but an image of the project by its hash. It is looked for where the index says that it is
used, and shown only if that is a regular file below one of the configured roots, and holds the very bytes that were
indexed. URLs are never fetched.
"""

import asyncio
import hashlib
import io
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Literal

from PIL import ExifTags, Image, ImageOps

from lookalike import records
from lookalike.fetch import Failed, local
from lookalike_serving import jpeg_end, rgb
from lookalike_serving.image_formats import FORMATS

Size = Literal[160, 320, 640, 1280]
"""A thumbnail's longest side has one of these numbers of pixels."""

_MAX_BYTES: Final = 64 * 1024 * 1024
_MAX_PIXELS: Final = 64_000_000
"""As the embedder's default."""
_AT_ONCE: Final = 4
_QUALITY: Final = 82
_FOLDER: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

_FORMATS: Final = tuple(name for name in FORMATS if name in Image.OPEN)
"""Those of the embedder's formats that this Pillow was built with."""


class Thumbnails:
    """Makes them, of files below `roots`; without roots, none."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = [root.resolve() for root in roots]
        self._named = {*self._roots, *(root.absolute() for root in roots)}
        """The roots also as they were given: files may have been indexed by way of the same link."""
        self._places = asyncio.Semaphore(_AT_ONCE)

    def likely(self, uri: str) -> bool:
        """Say whether there may be a thumbnail of the file at this URI, by its name alone."""
        path = _path(uri)
        return path is not None and ".." not in path.parts and any(map(path.is_relative_to, self._named))

    @staticmethod
    def url(project_name: str) -> Callable[[str], str]:
        """Return what makes the URL of an image's thumbnail of its hash."""
        return f"/v1/projects/{project_name}/images/{{}}/thumbnail".format

    async def make(self, image: records.Image, size: int) -> bytes | None:
        """Return a JPEG of the image, at most `size` pixels wide and high; None if no file of it may be shown."""
        async with self._places:
            for reference in image.references:
                if self.likely(reference.uri) and (
                    thumbnail := await asyncio.to_thread(self._thumbnail, reference.uri, image, size)
                ):
                    return thumbnail
        return None

    def _thumbnail(self, uri: str, image: records.Image, size: int) -> bytes | None:
        """The thumbnail of the file at this URI, if it is the image's and may be shown."""
        try:
            path = (_path(uri) or Path()).resolve(strict=True)  # what links lead to counts
            root = next(filter(path.is_relative_to, self._roots), None)
            data = _read(root, path.relative_to(root)) if root else b""
        except (OSError, RuntimeError):
            return None
        if hashlib.sha256(data).hexdigest() != image.sha256:
            return None
        return _shrunk(data, size)


def _path(uri: str) -> Path | None:
    """The file that a `file:` URI on this machine names; None for any other."""
    if uri[:5].lower() != "file:":
        return None
    try:
        path = local.path_of(uri)
    except Failed:
        return None
    return Path(path) if path.startswith("/") and "\0" not in path else None


def _read(root: Path, path: Path) -> bytes:
    """A regular file of bounded size below the root, by way of no link: there were none left. Raises OSError."""
    with ExitStack() as stack:
        folder: int | None = None
        for part in (str(root), *path.parts[:-1]):
            folder = os.open(part, _FOLDER, dir_fd=folder)
            stack.callback(os.close, folder)
        if not stat.S_ISREG(os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode):
            return b""  # to open a device may do something
        number = os.open(path.name, _FILE, dir_fd=folder)
        with open(number, "rb") as file:
            status = os.fstat(number)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
                return b""
            return file.read(_MAX_BYTES)


def _shrunk(data: bytes, size: int) -> bytes | None:
    """The picture, upright and small; None if it cannot be decoded, or has too many pixels."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                return None
            opened.draft("RGB", (size, size))  # a JPEG is decoded no larger than needed
            orientation = opened.getexif().get(ExifTags.Base.Orientation)
            whole, _ = jpeg_end.loaded(opened, data, (size, size))
            picture = rgb.converted(whole)  # as the embedder does; before it is resized, which not all modes allow
            picture.thumbnail((size, size))
            picture.getexif()[ExifTags.Base.Orientation] = orientation or 1
            buffer = io.BytesIO()
            ImageOps.exif_transpose(picture).convert("RGB").save(buffer, "JPEG", quality=_QUALITY)
            return buffer.getvalue()
    except Exception:
        return None
