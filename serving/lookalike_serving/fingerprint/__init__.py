"""Fingerprints tell copies from look-alikes: the embedder makes them, the searcher lays two of them over each other.

A fingerprint is a small picture and the keypoints on it. Only fingerprints of one `NAME` may be compared. Change it
with the code, unless old and new ones still compare: how many keypoints are looked for, and how hard WebP tries, may
change.
"""

from dataclasses import dataclass
from typing import Final

NAME: Final = "sift128-webp160-1"
"""SIFT on a picture of 160 pixels, of one bit for each of its 128 numbers; the small picture as WebP; first version."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A fingerprint holds what a picture looks like, as it is stored and sent.

    Attributes:
        picture: the small picture, as `picture` encodes and checks it.
        keypoints: the keypoints on it, as `keypoints` packs and checks them.
    """

    picture: bytes
    keypoints: bytes

    def __len__(self) -> int:
        """Return how many bytes it has."""
        return len(self.picture) + len(self.keypoints)
