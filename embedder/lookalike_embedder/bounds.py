"""Bound what the engine has in flight, and what it keeps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """The bounds are limits of what is in flight, and of what is kept.

    Attributes:
        interactive: interactive images in flight.
        in_flight_bytes: bytes of image files in flight, over both lanes.
        decoding_pixels: pixels that are decoded at once.
        cached: results in the cache.
    """

    interactive: int
    in_flight_bytes: int
    decoding_pixels: int
    cached: int
