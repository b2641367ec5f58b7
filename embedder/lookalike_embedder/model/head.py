"""Compute a descriptor from feature maps: R-MAC beside two grids, projected; or R-MAC alone."""

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lookalike_embedder.layout import COLUMNS, GRID, SIDE, SPREAD, STRIDE, WEIGHT
from lookalike_embedder.projection import Projection
from lookalike_embedder.rmac import square_regions

_LEAST: Final = 1e-6
"""A cell without any activation is this long, so that it can be divided by."""


class Maps(NamedTuple):
    """The maps are those of the trunk that a descriptor is made of: [n, 512, size, size] each, of one size.

    Attributes:
        conv4: conv4_3 as conv5_1 sees it, pooled: what things look like, in detail.
        conv5: conv5_3: what there is.
    """

    conv4: Tensor
    conv5: Tensor


class Head:
    """The head turns the maps of n images into vectors [n, 512] of length 1.

    Args:
        regional: `rmac` or `pooled_rmac`.
        projection: what turns R-MAC beside two grids into a vector; without one, R-MAC is the vector.
        device: where the feature maps are.
    """

    def __init__(
        self, regional: Callable[[Tensor], Tensor], projection: Projection | None = None, device: str = "cpu"
    ) -> None:
        self._regional = regional
        self._matrix = torch.from_numpy(projection.matrix).to(device) if projection else None
        self._cell_weights = cell_weights(device)

    def __call__(self, maps: Maps) -> Tensor:
        """Return the vectors."""
        vectors = self._regional(maps.conv5)
        if self._matrix is not None:
            vectors = functional.normalize(
                functional.linear(beside_grids(vectors, maps, self._cell_weights), self._matrix)
            )
        return vectors


def cell_weights(device: str = "cpu") -> Tensor:
    """Return the weights of a grid's cells, [GRID, COLUMNS], in which a mean of two cells counts for both."""
    steps = (torch.arange(GRID, device=device) - (GRID - 1) / 2) / GRID
    weights = torch.exp(-(steps**2) / (2 * SPREAD**2))
    return weights[:, None] * weights[:COLUMNS] * torch.where(steps[:COLUMNS] < 0, 2**0.5, 1.0)


def beside_grids(regional: Tensor, maps: Maps, weights: Tensor) -> Tensor:
    """Return R-MAC descriptors beside the maxima of the cells of each map's grid, [n, 15872]; see `cell_weights`."""
    return torch.cat([regional, *(WEIGHT * _grid(features, weights) for features in maps)], dim=1)


def _grid(features: Tensor, weights: Tensor) -> Tensor:
    """Return the maxima of a grid's cells, [n, 512 · GRID · COLUMNS], together of length 1.

    Cells that are opposite to each other, left and right, become their mean: what is sold is seen from either side, and
    a photo and its mirror image are alike. A cell's length becomes its square root: what is seen there counts more than
    an empty background, and one strong activation does not silence the others.
    """
    cells = functional.max_pool2d(features, SIDE, STRIDE, padding=1).float()
    cells = (cells + cells.flip(-1))[..., :COLUMNS]
    lengths = cells.norm(dim=1, keepdim=True).clamp(min=_LEAST)
    return functional.normalize((cells * weights / lengths.sqrt()).flatten(1))


def rmac(features: Tensor) -> Tensor:
    """Return R-MAC descriptors [n, channels] of feature maps [n, channels, size, size]; see `rmac.square_regions`.

    The maximum over each region is normalised, the regions are added, and the sum is normalised.
    """
    cells = features.permute(0, 2, 3, 1)  # the order in memory: four times faster than reducing across it
    regions = [
        cells[:, top : top + side, left : left + side].flatten(1, 2).amax(dim=1).float()
        for top, left, side in square_regions(features.shape[-1])
    ]
    total = torch.stack([functional.normalize(region) for region in regions]).sum(dim=0)
    return functional.normalize(total)


def pooled_rmac(features: Tensor) -> Tensor:
    """Return the same descriptors in some dozen operations instead of a hundred: on a GPU, each one is a launch."""
    regions = square_regions(features.shape[-1])
    windows = {side: functional.max_pool2d(features, side, stride=1) for side in {region.side for region in regions}}
    maxima = torch.stack([windows[side][:, :, top, left] for top, left, side in regions]).float()
    return functional.normalize(functional.normalize(maxima, dim=2).sum(dim=0))
