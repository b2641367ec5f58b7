"""Compute the regions of R-MAC (regional maximum activations of convolutions).

Tolias, Sicre, Jégou: "Particular object retrieval with integral max-pooling of CNN activations", ICLR 2016: square
regions at several scales, of side 2·min(W, H)/(l + 1) at scale l, spread evenly so that neighbours overlap by about
40 %.
"""

from itertools import product
from typing import NamedTuple

LEVELS = 3
"""There are scales 1 to 3, as in the paper; a fourth changed little in our measurements."""


class Region(NamedTuple):
    """A region is a square of a feature map: its top and left edge and its side, in cells."""

    top: int
    left: int
    side: int


def square_regions(size: int, levels: int = LEVELS) -> list[Region]:
    """Return the regions of a square feature map of `size` × `size` cells: 1 + 4 + 9 of them for three levels.

    On a square map the paper's choice of the number of regions along the longer side reduces to `level` along each.
    """
    regions = []
    for level in range(1, levels + 1):
        side = max(1, 2 * size // (level + 1))
        edges = [step * (size - side) // max(1, level - 1) for step in range(level)]
        regions += [Region(top, left, side) for top, left in product(edges, edges)]
    return regions
