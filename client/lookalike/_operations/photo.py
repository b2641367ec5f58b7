"""The bytes of an image, from wherever the caller has them."""

import os

import grpc

from lookalike.constants import MAX_IMAGE_BYTES
from lookalike.errors import InvalidRequestError, UnreadableImageError
from lookalike.regular_file import open_regular


def read(image: bytes | str | os.PathLike[str] | None) -> bytes:
    """Return the bytes of an image file; this blocks while it reads.

    Raises:
        UnreadableImageError: the file cannot be read.
        InvalidRequestError: it is larger than what can be sent.
    """
    data = bytes(image) if isinstance(image, bytes | bytearray | memoryview) else _read_file(_path(image))
    if len(data) > MAX_IMAGE_BYTES:
        raise InvalidRequestError(
            f"image: at most {MAX_IMAGE_BYTES} bytes can be sent, got more",
            reason="IMAGE_TOO_LARGE",
            metadata={"limit_bytes": str(MAX_IMAGE_BYTES)},
            code=grpc.StatusCode.INVALID_ARGUMENT,
        )
    return data


def _path(image: str | os.PathLike[str] | None) -> str:
    """Return the path as it was given, for messages too: a `Path` of a URL would lose a slash."""
    try:
        return os.fspath(image)  # type: ignore[arg-type] # it says so itself
    except TypeError as error:  # types are not checked in everybody's code
        raise InvalidRequestError(
            f"image: must be bytes or a path, got {type(image).__name__}",
            reason="INVALID_FIELD",
            code=grpc.StatusCode.INVALID_ARGUMENT,
        ) from error


def _read_file(path: str) -> bytes:
    """The file, but never more than one byte over the limit: it may be of any size."""
    try:
        with open(open_regular(path), "rb") as file:
            return file.read(MAX_IMAGE_BYTES + 1) or b""
    except OSError as error:
        raise UnreadableImageError(f"cannot read {path}: {error.strerror}", reason="UNREADABLE") from error
    except ValueError as error:  # a name that no file system has
        raise UnreadableImageError(f"cannot read {path!r}: {error}", reason="UNREADABLE") from error
