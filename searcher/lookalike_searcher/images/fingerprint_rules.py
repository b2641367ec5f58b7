"""Check fingerprints that come from elsewhere, part by part. Pictures are not decoded: only their heads are read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lookalike_searcher.errors import InvalidField, Measure
from lookalike_serving.fingerprint import Fingerprint
from lookalike_serving.fingerprint import keypoints as packed
from lookalike_serving.fingerprint import picture as pictures

BROKEN: Final = (pictures.InvalidPicture, packed.InvalidKeypoints)
"""What is raised where a part of a fingerprint is broken: its message has the rule, and what there was."""


def check(field: str, fingerprint: Fingerprint) -> None:
    """Check a fingerprint, and that its parts belong together. Raises InvalidField."""
    size = picture(f"{field}.picture", fingerprint.picture)
    frame = keypoints(f"{field}.keypoints", fingerprint.keypoints)
    if size != frame:
        rule = f"must be of the picture's {size[0]} x {size[1]} pixels"
        raise InvalidField(f"{field}.keypoints", rule, Measure(f"{frame[0]} x {frame[1]}"))


def picture(field: str, value: bytes) -> tuple[int, int]:
    """Return the size of a small picture. Raises InvalidField."""
    with _named(field):
        return pictures.size(value)


def keypoints(field: str, value: bytes) -> tuple[int, int]:
    """Return the size of the picture that the keypoints are on. Raises InvalidField."""
    with _named(field):
        unpacked = packed.Keypoints.unpack(value)
        return unpacked.width, unpacked.height


def refusal(field: str, error: Exception) -> InvalidField:
    """Return the error of a field whose part is one of BROKEN."""
    rule, _, value = str(error).rpartition(", got ")
    return InvalidField(field, f"must be {rule}", Measure(value))


@contextmanager
def _named(field: str) -> Iterator[None]:
    """Name the field in what is wrong within the block."""
    try:
        yield
    except BROKEN as error:
        raise refusal(field, error) from error
