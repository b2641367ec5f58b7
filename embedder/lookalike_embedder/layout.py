"""Define the two grids that stand beside R-MAC: layout beside content.

Each grid holds the maxima of the cells of a feature map. These constants are part of the embedding space.
"""

from typing import Final

GRID: Final = 5
"""A grid has so many by so many cells."""
SIDE: Final = 4
STRIDE: Final = 3
"""A cell is so wide and high, and the next one begins so much further: neighbours share one row or column of the map of
14. The outer ones begin one before its edge."""
COLUMNS: Final = GRID // 2 + 1
"""So many columns are kept: a cell and the one opposite to it, left and right, become their mean."""
WEIGHT: Final = 1.5
"""Each grid's length beside R-MAC, whose length is 1."""
SPREAD: Final = 0.35
"""The standard deviation of the cells' weights, in sides of the picture: what is sold is in the middle."""
