"""Unpack a fingerprint for comparisons, of which the query's side has many."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

from lookalike_searcher.copies.matching import mirrored
from lookalike_searcher.copies.overlay import Seen
from lookalike_serving.fingerprint import Fingerprint, picture
from lookalike_serving.fingerprint.keypoints import Keypoints
from lookalike_serving.fingerprint.picture import InvalidPicture


@dataclass(frozen=True, eq=False)
class Side:
    """A side is one of two pictures that are compared.

    Attributes:
        keypoints: its keypoints.
        encoded: its small picture, which is decoded when something is to be seen on it.
    """

    keypoints: Keypoints
    encoded: bytes

    @classmethod
    def of(cls, fingerprint: Fingerprint) -> Self:
        """Return the side of a fingerprint.

        Raises:
            InvalidKeypoints: see there.
            InvalidPicture: see there; or the keypoints are those of a picture of another size.
        """
        keypoints, size = Keypoints.unpack(fingerprint.keypoints), picture.size(fingerprint.picture)
        if size != (keypoints.width, keypoints.height):
            raise InvalidPicture(f"as large as its keypoints say, {keypoints.width} x {keypoints.height}, got {size}")
        return cls(keypoints, fingerprint.picture)

    @cached_property
    def seen(self) -> Seen:
        """Return the small picture as it is laid over others. Raises InvalidPicture."""
        return Seen.of(picture.decode(self.encoded))

    @cached_property
    def mirrored(self) -> Keypoints:
        """Return the keypoints of the mirror image."""
        return mirrored(self.keypoints)
