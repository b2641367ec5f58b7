"""Compute a descriptor from feature maps: R-MAC, or R-MAC beside a grid, projected."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from lookalike_embedder.projection import GRID, Projection
from lookalike_embedder.rmac import square_regions

_POWER: Final = 3
"""The exponent of the generalized mean (Radenović et al., TPAMI 2018): between the average and the maximum."""
_LEAST: Final = 1e-6
"""Less is no activation; the mean of none has a root all the same."""


class Head:
    """The head turns feature maps [n, 512, size, size] into vectors [n, 512] of length 1.

    Args:
        regional: `rmac` or `pooled_rmac`.
        projection: what turns R-MAC beside a grid into a vector; without one, R-MAC is the vector.
        device: where the feature maps are.
    """

    def __init__(
        self, regional: Callable[[Tensor], Tensor], projection: Projection | None = None, device: str = "cpu"
    ) -> None:
        self._regional = regional
        self._projected = projection and (
            torch.from_numpy(projection.matrix).float().to(device),
            torch.from_numpy(projection.offset).to(device),
        )

    def __call__(self, features: Tensor) -> Tensor:
        """Return the vectors."""
        vectors = self._regional(features)
        if self._projected:
            vectors = functional.normalize(functional.linear(beside_grid(vectors, features), *self._projected))
        return vectors


def beside_grid(regional: Tensor, features: Tensor) -> Tensor:
    """Return R-MAC descriptors beside the generalized means of a grid's cells: [n, 5120].

    Each cell is normalised, as R-MAC's regions are, so that an empty background counts as much as the article.
    """
    cubes = functional.adaptive_avg_pool2d(features.float().clamp(min=_LEAST).pow(_POWER), GRID)
    cells = functional.normalize(cubes.pow(1 / _POWER)).flatten(1)
    return torch.cat([regional, cells / GRID], dim=1)


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
