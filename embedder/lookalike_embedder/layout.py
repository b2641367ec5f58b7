"""Define the two grids that stand beside R-MAC: layout beside content.

Each grid holds the maxima of the cells of a feature map. These constants are part of the embedding space.
"""

from typing import Final

GRID: Final = 5
"""A grid has so many by so many cells."""
COLUMNS: Final = GRID // 2 + 1
"""So many columns are kept: a cell and the one opposite to it, left and right, become their mean."""
WEIGHT: Final = 1.5
"""Each grid's length beside R-MAC, whose length is 1."""
SPREAD: Final = 0.35
"""The standard deviation of the cells' weights, in sides of the picture: what is sold is in the middle."""
