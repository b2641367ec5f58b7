"""Say in words what a proof shows: what was done to the shop's photo so that it became the picture."""

from collections.abc import Iterator
from typing import Final

from lookalike.records import Proof, Region

_TURN: Final = 2.0
"""Turns of fewer degrees are how far keypoints lie off."""
_STRETCH: Final = 1.04
_COLOURS: Final = 4.0
"""Compression alone moves colours by up to 3 in a and b of CIELAB."""
_THIRD: Final = 1 / 3


def words(proof: Proof) -> str:
    """Return what was done, or that nothing was but recompression or another size."""
    return ", ".join(_done(proof)) or "recompressed or resized"


def _done(proof: Proof) -> Iterator[str]:
    if proof.mirrored:
        yield "mirrored"
    if abs(proof.turned) >= _TURN:
        yield f"turned by {abs(proof.turned):.0f}° {'clockwise' if proof.turned > 0 else 'anticlockwise'}"
    if proof.cropped:
        yield f"cropped to {proof.of_image:.0%}"
    if proof.bordered:
        yield f"framed or pasted: it is {proof.of_query:.0%} of the picture"
    if proof.stretched >= _STRETCH:
        yield f"stretched by {proof.stretched - 1:.0%}"
    if proof.recoloured >= _COLOURS:
        yield f"recoloured by {proof.recoloured:.0f}"
    if proof.covered:
        yield f"covered {_place(proof.covered)}"


def _place(region: Region) -> str:
    across, down = (region.left + region.right) / 2, (region.top + region.bottom) / 2
    row = "top" if down < _THIRD else "bottom" if down > 1 - _THIRD else ""
    column = "left" if across < _THIRD else "right" if across > 1 - _THIRD else ""
    return f"at the {f'{row} {column}'.strip()}" if row or column else "in the middle"
